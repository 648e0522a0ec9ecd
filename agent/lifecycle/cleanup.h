// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Releases what a pod held once nothing of it can run (facts rows 4.8, 11.9): sandbox stopped, volumes, programs, cgroup, and,
// when the pod is deleted, the runtime's records. Records of a pod that ended by itself stay for its logs. They go last, so
// that a crash before the final status is published still finds the exit codes.
#pragma once

#include "lifecycle/context.h"

namespace pintle::lifecycle {

// Plans the next release; false: all is released.
[[nodiscard]] bool plan_cleanup(Context& ctx);

}  // namespace pintle::lifecycle
