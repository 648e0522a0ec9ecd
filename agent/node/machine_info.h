// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What this machine is (facts rows 7.7, 7.8), read once at start from /proc, /sys and /etc under `root` ("" in
// production). Only cpu and memory are essential; an identity that can't be read stays empty.
// Errors: kNotFound and kInvalid, naming the file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/node.h"

namespace pintle::node {

struct MachineInfo {
  int cpus = 0;
  uint64_t memory_bytes = 0;
  uint64_t storage_bytes = 0;                 // size of the file system that holds the agent's root directory
  std::map<std::string, uint64_t> hugepages;  // "hugepages-2Mi" -> bytes set aside
  model::NodeSystemInfo system;               // all but container_runtime_version and kubelet_version
};

[[nodiscard]] Result<MachineInfo> read_machine_info(const std::string& root, const std::string& storage_path);

// Whether /proc/swaps names a device (row 1.10). A file that can't be read is no swap.
[[nodiscard]] bool swap_is_on(const std::string& root);

// The parsers behind it, for their tests.
[[nodiscard]] Result<uint64_t> parse_meminfo_total(std::string_view meminfo);
[[nodiscard]] int count_cpus(std::string_view cpuinfo);
[[nodiscard]] std::string parse_os_name(std::string_view os_release);
// Go's name of an architecture ("amd64") from uname's ("x86_64").
[[nodiscard]] std::string go_architecture(std::string_view machine);

// The node's own addresses: of the interface that has the default route (row 7.6). Empty without one.
[[nodiscard]] std::vector<std::string> default_route_addresses(const std::string& root);
[[nodiscard]] std::string parse_default_interface(std::string_view proc_net_route);

}  // namespace pintle::node
