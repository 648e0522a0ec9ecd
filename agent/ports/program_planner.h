// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to whoever knows what a pod's programs are to be: its annotations, the node's defaults, the network policies that
// select it. Asked right before each attach, so that rules are in force before the pod's first instruction.
// Thread rule: any thread; must not block on the network.
#pragma once

#include "base/result.h"
#include "model/ebpf.h"
#include "model/status.h"

namespace pintle::ports {

class ProgramPlanner {
 public:
  virtual ~ProgramPlanner() = default;
  // kUnavailable: the rules are not known yet and the pod must not start without them (fail closed). kInvalid: an annotation can't be read.
  [[nodiscard]] virtual Result<model::ProgramPlan> plan_for(const model::Pod& pod) = 0;
  // The pod is gone from the node.
  virtual void forget(const PodUid& uid) = 0;
};

}  // namespace pintle::ports
