// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/set_plan.h"

namespace pintle::bpf {

SwitchProgress after(SwitchProgress progress, bool ok) {
  using enum SwitchStep;
  switch (progress.step) {
    case kCheckNew: return {ok ? kPinNext : kRefused, false};
    case kPinNext: return {ok ? kSwitchPods : kDropNext, false};
    case kSwitchPods: return {ok ? kCheckSwitched : kSwitchBack, true};
    case kCheckSwitched: return {ok ? kCommit : kSwitchBack, true};
    case kCommit: return {ok ? kInForce : kSwitchBack, true};
    case kSwitchBack: return {kDropNext, progress.pods_touched};
    case kDropNext: return {progress.pods_touched ? kRolledBack : kRefused, progress.pods_touched};
    case kInForce:
    case kRefused:
    case kRolledBack: break;
  }
  return progress;
}

SetRecovery recover_sets(SetFolders found) {
  using Move = SetRecovery::Move;
  SetRecovery out;
  if (!found.current && found.next && found.previous)
    out.move = Move::kNextToCurrent;
  else if (!found.current && found.previous)
    out.move = Move::kPreviousToCurrent;
  out.drop_next = found.next && out.move != Move::kNextToCurrent;
  out.drop_previous = found.previous && out.move != Move::kPreviousToCurrent;
  out.sweep_pods = found.next || found.previous;
  return out;
}

}  // namespace pintle::bpf
