// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include <unistd.h>
#include <filesystem>
#include <fstream>

#include <fmt/format.h>

#include "node/machine_info.h"

using namespace pintle;
using namespace pintle::node;
namespace fs = std::filesystem;

TEST_CASE("the parsers read what Linux writes") {
  CHECK(parse_meminfo_total("MemTotal:       24684084 kB\nMemFree: 1 kB\n") == uint64_t{24684084} * 1024);
  CHECK_FALSE(parse_meminfo_total("MemFree: 1 kB\n"));
  CHECK(count_cpus("processor\t: 0\nmodel name\t: x\n\nprocessor\t: 1\n") == 2);
  CHECK(parse_os_name("NAME=Debian\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n") == "Debian GNU/Linux 12 (bookworm)");
  CHECK(parse_os_name("PRETTY_NAME=Plain") == "Plain");
  CHECK(go_architecture("x86_64") == "amd64");
  CHECK(go_architecture("aarch64") == "arm64");
  CHECK(go_architecture("riscv64") == "riscv64");
}

TEST_CASE("the default interface is that of the best default route") {
  const char* table =
      "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
      "eth1\t00000000\t0100000A\t0003\t0\t0\t200\t00000000\t0\t0\t0\n"
      "eth0\t00000000\t0100000A\t0003\t0\t0\t100\t00000000\t0\t0\t0\n"
      "lo\t0000007F\t00000000\t0001\t0\t0\t0\t000000FF\t0\t0\t0\n";
  CHECK(parse_default_interface(table) == "eth0");
  CHECK(parse_default_interface("Iface\tDestination\n").empty());
}

TEST_CASE("a machine is read from its root") {
  const fs::path root = fs::temp_directory_path() / fmt::format("pintle-machine-{}", ::getpid());
  const auto write = [&](const char* path, const std::string& text) {
    fs::create_directories((root / path).parent_path());
    std::ofstream(root / path) << text;
  };
  CHECK(read_machine_info(root.string(), "/").error().code == Code::kNotFound);
  write("proc/meminfo", "MemTotal: 1024 kB\n");
  write("proc/cpuinfo", "processor : 0\n");
  write("proc/sys/kernel/random/boot_id", "cd0f3030\n");
  write("proc/sys/kernel/osrelease", "6.1.0\n");
  write("etc/machine-id", "abc\n");
  write("etc/os-release", "PRETTY_NAME=\"Test OS\"\n");
  write("sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages", "4\n");
  write("sys/kernel/mm/hugepages/hugepages-1048576kB/nr_hugepages", "0\n");
  const auto info = read_machine_info(root.string(), root.string());
  fs::remove_all(root);
  REQUIRE(info);
  CHECK(info->cpus == 1);
  CHECK(info->memory_bytes == 1048576);
  CHECK(info->storage_bytes > 0);
  CHECK(info->hugepages == std::map<std::string, uint64_t>{{"hugepages-2Mi", uint64_t{8} << 20}, {"hugepages-1Gi", 0}});
  CHECK(info->system.machine_id == "abc");
  CHECK(info->system.system_uuid == "abc");
  CHECK(info->system.boot_id == "cd0f3030");
  CHECK(info->system.kernel_version == "6.1.0");
  CHECK(info->system.os_image == "Test OS");
  CHECK(info->system.operating_system == "linux");
}

TEST_CASE("row 1.10: swap is on when a device is listed") {
  const fs::path root = fs::temp_directory_path() / fmt::format("pintle-swap-{}", ::getpid());
  CHECK_FALSE(swap_is_on(root.string()));
  fs::create_directories(root / "proc");
  std::ofstream(root / "proc/swaps") << "Filename\tType\tSize\n";
  CHECK_FALSE(swap_is_on(root.string()));
  std::ofstream(root / "proc/swaps") << "Filename\tType\tSize\n/dev/vda2 partition 1024\n";
  CHECK(swap_is_on(root.string()));
  fs::remove_all(root);
}

TEST_CASE("this machine can be read") {
  const auto info = read_machine_info("", "/");
  REQUIRE(info);
  CHECK(info->cpus > 0);
  CHECK(info->memory_bytes > 0);
  CHECK_FALSE(info->system.boot_id.empty());
}
