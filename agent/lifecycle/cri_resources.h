// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Requests and limits as the runtime gets them, per container and for the whole pod (facts rows 15.5–15.7, 15.11, 15.12, 15.15,
// 15.20, 15.21). Pure. Not the pod's own cgroup values: those are the cgroup tree's.
#pragma once

#include "lifecycle/decide.h"
#include "model/runtime.h"

namespace pintle::lifecycle {

[[nodiscard]] int64_t cpu_shares(int64_t milli_cpu);                                                             // row 15.6
[[nodiscard]] int64_t cpu_quota(int64_t milli_cpu, int64_t period_us);                                           // row 15.7; 0: none
[[nodiscard]] int64_t oom_score(const model::Pod& pod, const model::Container& container, int64_t node_memory);  // row 15.15

[[nodiscard]] model::LinuxResources container_resources(const model::Pod& pod, const model::Container& container, const NodeFacts& node);
// Sums without overhead, as LinuxPodSandboxConfig.resources.
[[nodiscard]] model::LinuxResources sandbox_resources(const model::Pod& pod);

}  // namespace pintle::lifecycle
