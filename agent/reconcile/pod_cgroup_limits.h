// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The values of a pod's own cgroup from its spec, its QoS class and the node's podPidsLimit (facts rows 15.5–15.7). Pure.
#pragma once

#include "ports/cgroup_tree.h"

namespace pintle::reconcile {

[[nodiscard]] ports::CgroupLimits pod_cgroup_limits(const model::PodSpec& spec, model::QosClass qos, int64_t pids_limit = -1);

}  // namespace pintle::reconcile
