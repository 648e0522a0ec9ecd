// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Makes pods of the runtime's two list calls. Pure.
#pragma once

#include <vector>

#include "model/runtime.h"

namespace pintle::observe {

// Newest first in each pod, pods by UID. What carries no pod UID is not a pod's and is left out.
[[nodiscard]] std::vector<model::ObservedPod> group_by_pod(std::vector<model::ObservedSandbox> sandboxes,
                                                           std::vector<model::ObservedContainer> containers);

}  // namespace pintle::observe
