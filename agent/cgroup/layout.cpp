// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cgroup/layout.h"

#include <algorithm>
#include <sstream>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/unique_fd.h"

namespace pintle::cgroup {
namespace {

constexpr std::string_view kControllers[] = {"blkio",  "cpu",     "cpuacct",  "cpuset",     "devices", "freezer", "hugetlb",
                                             "memory", "net_cls", "net_prio", "perf_event", "pids",    "rdma"};

}  // namespace

std::string Layout::describe() const {
  if (unified()) return fmt::format("unified: v2 at {}", v2);
  std::vector<std::string> limits;
  for (const char* name : {"cpu", "memory", "pids"})
    if (v1.contains(name)) limits.emplace_back(name);
  if (v2.empty()) return fmt::format("v1 only, limits by {}: eBPF on pods needs a cgroup2 mount", fmt::join(limits, ", "));
  return fmt::format("hybrid: v2 at {}, limits by v1 {}", v2, fmt::join(limits, ", "));
}

Result<Layout> parse_layout(std::string_view mounts) {
  Layout layout;
  std::istringstream lines{std::string(mounts)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    std::string device, point, type, options;
    fields >> device >> point >> type >> options;
    if (type == "cgroup2" && layout.v2.empty()) layout.v2 = point;
    if (type != "cgroup" || std::ranges::find(layout.v1_mounts, point) != layout.v1_mounts.end()) continue;
    layout.v1_mounts.push_back(point);
    std::istringstream words(options);
    for (std::string word; std::getline(words, word, ',');)
      if (std::ranges::find(kControllers, word) != std::end(kControllers)) layout.v1.try_emplace(word, point);
  }
  if (layout.v2.empty() && layout.v1_mounts.empty())
    return fail(Code::kUnsupported, "no cgroup file system is mounted; mount one: mount -t cgroup2 none /sys/fs/cgroup");
  return layout;
}

Result<Layout> probe_layout(const std::string& mounts_file) {
  PINTLE_ASSIGN_OR_RETURN(const std::string mounts, read_file(mounts_file));
  return parse_layout(mounts);
}

}  // namespace pintle::cgroup
