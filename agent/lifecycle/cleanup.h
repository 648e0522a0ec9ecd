// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Releases what a pod held once nothing of it can run (facts rows 4.8, 11.9, 20.1): sandbox stopped, volumes, programs, cgroup, and,
// when the pod is deleted, the runtime's records and the logs. Those of a pod that ended by itself stay, for who reads them. The
// records go late, so that a crash before the final status is published still finds the exit codes; the pod's directory goes last of
// all, so that a crash at any step leaves what the next start knows the pod by.
#pragma once

#include "lifecycle/context.h"

namespace pintle::lifecycle {

// Plans the next release; false: all is released.
[[nodiscard]] bool plan_cleanup(Context& ctx);

}  // namespace pintle::lifecycle
