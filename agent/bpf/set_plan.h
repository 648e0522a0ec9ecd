// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// How one program set takes another's place, as pure decisions: which step follows which outcome, and what a start makes of the folders
// that a crash left. Carried out by set_switch.h. Plain values.
//
//   check new ─ok→ pin it (next/) ─ok→ switch pods ─ok→ check again ─ok→ commit: prog→prev, next→prog, prev away ─→ in force
//      │fails          │fails              │fails            │fails          │fails
//      └→ refused      └→ refused          └───── switch pods back, next/ away ─→ rolled back
#pragma once

#include <cstdint>

namespace pintle::bpf {

enum class SwitchStep {
  kCheckNew,
  kPinNext,
  kSwitchPods,
  kCheckSwitched,
  kCommit,
  kSwitchBack,
  kDropNext,
  kInForce,
  kRefused,
  kRolledBack
};

struct SwitchProgress {
  SwitchStep step = SwitchStep::kCheckNew;
  bool pods_touched = false;  // some link may run the new set
  bool operator==(const SwitchProgress&) const = default;
};
[[nodiscard]] constexpr bool is_final(SwitchStep step) {
  return step == SwitchStep::kInForce || step == SwitchStep::kRefused || step == SwitchStep::kRolledBack;
}
// What comes after the step went well or failed. A step back that fails is no reason to stop: what it could not mend, attaching will.
[[nodiscard]] SwitchProgress after(SwitchProgress progress, bool ok);

// The folders that a start found.
struct SetFolders {
  bool current = false, next = false, previous = false;
};
struct SetRecovery {
  enum class Move {
    kNone,
    kNextToCurrent,      // it was decided: only the renaming was cut short
    kPreviousToCurrent,  // somebody took the others away
  };
  Move move = Move::kNone;
  bool drop_next = false, drop_previous = false;
  bool sweep_pods = false;  // links may run the set that did not make it
  bool operator==(const SetRecovery&) const = default;
};
[[nodiscard]] SetRecovery recover_sets(SetFolders found);

}  // namespace pintle::bpf
