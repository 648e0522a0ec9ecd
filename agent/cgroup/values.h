// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Names and numbers of cgroup files (facts rows 15.2, 15.8, 15.10). Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "model/pod.h"
#include "ports/cgroup_tree.h"

namespace pintle::cgroup {

// Row 15.8, the linear formula of what the node agent writes itself: 1024 shares -> 39, 2 -> 1, 262144 and more -> 10000.
[[nodiscard]] uint64_t weight_from_shares(uint64_t shares);
[[nodiscard]] uint64_t shares_from_weight(uint64_t weight);  // row 15.10

// File -> content, by controller, in the order in which they are written.
struct LimitFile {
  std::string_view controller, file;
  std::string content;
  bool operator==(const LimitFile&) const = default;
};
[[nodiscard]] std::vector<LimitFile> v2_files(const ports::CgroupLimits& limits);
[[nodiscard]] std::vector<LimitFile> v1_files(const ports::CgroupLimits& limits);

// "kubepods", "kubepods/burstable" … below the cgroup root.
[[nodiscard]] std::string class_path(model::QosClass qos);
// Row 15.2: the systemd driver's slice, "kubepods-burstable-pod<uid with _ for ->.slice".
[[nodiscard]] std::string systemd_slice(model::QosClass qos, const PodUid& uid);

}  // namespace pintle::cgroup
