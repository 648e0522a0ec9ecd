// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The rules of a pod that a kubelet owns: its cgroup is looked for, its programs are kept in force there, and nothing else is ever
// planned. Its status is the API's. Programs stay until nothing runs in the cgroup any more, also of a pod that the API has lost
// already (a forced deletion): then they are detached. PURE, as decide().
#pragma once

#include "lifecycle/decide.h"

namespace pintle::lifecycle {

// As decide(), for a node that does not own its pods (NodeFacts::owns_pods).
[[nodiscard]] Decision decide_companion(const PodView& view, Time now);
// What FindCgroup saw. A cgroup that was made anew needs its programs anew; of one that is gone nothing is in force.
void record_found(PodMemory& memory, const ActionOutcome& outcome);

}  // namespace pintle::lifecycle
