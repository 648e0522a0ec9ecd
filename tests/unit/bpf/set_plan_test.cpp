// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/set_plan.h"

#include <vector>

#include <catch2/catch_test_macros.hpp>

using namespace pintle::bpf;
using enum SwitchStep;

namespace {

// The steps taken when the n-th (from 0) fails; -1: none does.
std::vector<SwitchStep> steps(int failing, int failing_too = -1) {
  std::vector<SwitchStep> out;
  SwitchProgress progress;
  for (int n = 0; !is_final(progress.step); ++n) {
    out.push_back(progress.step);
    progress = after(progress, n != failing && n != failing_too);
    REQUIRE(n < 20);
  }
  out.push_back(progress.step);
  return out;
}

}  // namespace

TEST_CASE("the steps of a switch, whichever of them fails") {
  CHECK(steps(-1) == std::vector{kCheckNew, kPinNext, kSwitchPods, kCheckSwitched, kCommit, kInForce});
  CHECK(steps(0) == std::vector{kCheckNew, kRefused});
  CHECK(steps(1) == std::vector{kCheckNew, kPinNext, kDropNext, kRefused});
  CHECK(steps(2) == std::vector{kCheckNew, kPinNext, kSwitchPods, kSwitchBack, kDropNext, kRolledBack});
  CHECK(steps(3) == std::vector{kCheckNew, kPinNext, kSwitchPods, kCheckSwitched, kSwitchBack, kDropNext, kRolledBack});
  CHECK(steps(4) == std::vector{kCheckNew, kPinNext, kSwitchPods, kCheckSwitched, kCommit, kSwitchBack, kDropNext, kRolledBack});
  // Steps back that fail, too, change neither the way nor the end.
  CHECK(steps(2, 3) == steps(2));
  CHECK(steps(3, 5) == steps(3));
  CHECK(steps(1, 2) == steps(1));
}

TEST_CASE("a set that no pod had was refused, one that some had was rolled back") {
  for (int failing = 0; failing < 5; ++failing) CHECK(steps(failing).back() == (failing < 2 ? kRefused : kRolledBack));
}

TEST_CASE("a final step stays") {
  for (const auto step : {kInForce, kRefused, kRolledBack}) {
    CHECK(is_final(step));
    CHECK(after({step, true}, true) == SwitchProgress{step, true});
    CHECK(after({step, true}, false) == SwitchProgress{step, true});
  }
}

TEST_CASE("what a start makes of the folders it finds") {
  using Move = SetRecovery::Move;
  struct Row {
    SetFolders found;
    SetRecovery wanted;
  };
  const Row rows[] = {
      {{}, {}},                                                                    // a first start
      {{.current = true}, {}},                                                     // no switch was under way
      {{.current = true, .next = true}, {.drop_next = true, .sweep_pods = true}},  // not decided: the old one
      {{.next = true, .previous = true}, {.move = Move::kNextToCurrent, .drop_previous = true, .sweep_pods = true}},  // decided
      {{.current = true, .previous = true}, {.drop_previous = true, .sweep_pods = true}},  // done but for tidying up
      {{.previous = true}, {.move = Move::kPreviousToCurrent, .sweep_pods = true}},        // somebody's hand
      {{.next = true}, {.drop_next = true, .sweep_pods = true}},
      {{.current = true, .next = true, .previous = true}, {.drop_next = true, .drop_previous = true, .sweep_pods = true}},
  };
  for (const auto& row : rows) {
    INFO(row.found.current << row.found.next << row.found.previous);
    CHECK(recover_sets(row.found) == row.wanted);
  }
}
