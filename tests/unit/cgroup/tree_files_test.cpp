// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The unified layout's values against a tree of plain files: the machine that runs the tests may be hybrid.
#include <catch2/catch_test_macros.hpp>

#include <filesystem>
#include <fstream>

#include "cgroup/cgroup_fs_tree.h"
#include "fakes/store/temp_dir.h"

using namespace pintle;
using namespace pintle::cgroup;

namespace {

void touch(const std::string& path, const std::string& content = "") { std::ofstream(path) << content; }
std::string slurp(const std::string& path) { return *read_file(path); }

// What the kernel would put into a fresh cgroup directory.
void populate(const std::string& dir) {
  std::filesystem::create_directories(dir);
  touch(dir + "/cgroup.controllers", "cpu memory pids\n");
  for (const char* file : {"cgroup.subtree_control", "cpu.weight", "cpu.max", "memory.max", "pids.max", "cgroup.procs"})
    touch(dir + "/" + file);
}

}  // namespace

TEST_CASE("rows 15.4, 15.5, 15.18: values and controllers of the unified layout") {
  const fakes::TempDir root;
  for (const char* dir : {"", "/kubepods", "/kubepods/burstable", "/kubepods/besteffort", "/kubepods/burstable/podu1"})
    populate(root.path() + dir);
  CgroupFsTree tree({.v2 = root.path()}, "/");
  REQUIRE(tree.ensure_root({.cpu_shares = 2048, .memory_bytes = 1 << 30, .pids = 4096}));
  CHECK(slurp(root / "kubepods/cpu.weight") == "79");
  CHECK(slurp(root / "kubepods/memory.max") == "1073741824");
  CHECK(slurp(root / "kubepods/pids.max") == "4096");
  CHECK(slurp(root / "kubepods/besteffort/cpu.weight") == "1");
  CHECK_FALSE(slurp(root / "kubepods/cgroup.subtree_control").empty());

  const auto pod =
      tree.ensure_pod(PodUid("u1"), model::QosClass::kBurstable, {.cpu_shares = 102, .cpu_quota_us = 20000, .memory_bytes = 67108864});
  REQUIRE(pod);
  CHECK(pod->runtime_parent == "/kubepods/burstable/podu1");
  CHECK(pod->path == root / "kubepods/burstable/podu1");
  CHECK(pod->dir != nullptr);
  CHECK(slurp(pod->path + "/cpu.weight") == "4");
  CHECK(slurp(pod->path + "/cpu.max") == "20000 100000");
  CHECK(slurp(pod->path + "/memory.max") == "67108864");
  CHECK(tree.list_pods()->size() == 1);
}

TEST_CASE("a limit that the kernel refuses names file, cgroup and value") {
  const fakes::TempDir root;
  std::filesystem::create_directories(root / "kubepods/burstable/podu1");
  CgroupFsTree tree({.v2 = root.path()}, "/");
  const auto pod = tree.ensure_pod(PodUid("u1"), model::QosClass::kBurstable, {.memory_bytes = 5});
  REQUIRE_FALSE(pod);
  CHECK(pod.error().message().find("set memory.max of '" + root.path() + "/kubepods/burstable/podu1' to '5'") != std::string::npos);
  CHECK(pod.error().sys_errno == ENOENT);
}
