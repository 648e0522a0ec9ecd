// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Which cgroup hierarchies this host has, found by looking, never by version (design: unified, hybrid, v1 only).
// In the hybrid layout the v1 hierarchies carry the limits and the v2 tree carries identity and eBPF; runc and crun put every
// container at the same path in all of them. Pure but for the one file it reads.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace pintle::cgroup {

struct Layout {
  std::string v2;                         // mount point of the v2 tree; empty: a host without one
  std::map<std::string, std::string> v1;  // controller -> mount point
  std::vector<std::string> v1_mounts;     // every v1 hierarchy once, the named ones included

  [[nodiscard]] bool unified() const { return v1_mounts.empty() && !v2.empty(); }
  [[nodiscard]] std::string describe() const;  // "hybrid: v2 at /sys/fs/cgroup/unified, limits by v1 cpu, memory, pids"
};

// From the text of /proc/self/mounts. kUnsupported: no cgroup file system is mounted at all.
[[nodiscard]] Result<Layout> parse_layout(std::string_view mounts);
[[nodiscard]] Result<Layout> probe_layout(const std::string& mounts_file = "/proc/self/mounts");

}  // namespace pintle::cgroup
