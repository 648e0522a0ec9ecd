// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "lifecycle/restart.h"
#include "unit/lifecycle/rig.h"

using namespace pintle;
using namespace pintle::lifecycle;
using namespace pintle::lifecycle::test;
using model::RestartPolicy;

namespace {

const model::StateWaiting* waiting(const Rig& rig, const std::string& name) {
  return std::get_if<model::StateWaiting>(&rig.shown(name).state);
}

// Exits at once after each start; returns the seconds between each exit and the start that followed.
std::vector<int64_t> waits_of(Rig& rig, int exits, bool restart_agent_between = false) {
  std::vector<int64_t> waits;
  rig.settle();
  for (int i = 0; i < exits; ++i) {
    rig.exit("web", 1);
    const Time died = rig.now;
    rig.settle();
    if (restart_agent_between) {
      rig.restart_agent();
      rig.settle();
    }
    while (rig.find("web")->state != model::RunState::kRunning) REQUIRE(rig.wake());
    waits.push_back(std::chrono::duration_cast<std::chrono::seconds>(rig.now - died).count());
  }
  return waits;
}

}  // namespace

TEST_CASE("row 10.1: the first restart is at once, then 10 s doubled to 300 s") {
  Rig rig;
  CHECK(waits_of(rig, 9) == std::vector<int64_t>{0, 10, 20, 40, 80, 160, 300, 300, 300});
}

TEST_CASE("row 10.1: a restart of the agent in every wait shortens none") {
  Rig rig;
  CHECK(waits_of(rig, 9, true) == std::vector<int64_t>{0, 10, 20, 40, 80, 160, 300, 300, 300});
}

TEST_CASE("row 10.2: the node's maximum is also the first wait when it is below 10 s") {
  Rig rig;
  rig.facts.max_restart_backoff = 3s;
  CHECK(waits_of(rig, 4) == std::vector<int64_t>{0, 3, 3, 3});
  Rig capped;
  capped.facts.max_restart_backoff = 25s;
  CHECK(waits_of(capped, 5) == std::vector<int64_t>{0, 10, 20, 25, 25});
}

TEST_CASE("row 10.1: ten good minutes forget the past") {
  Rig rig;
  waits_of(rig, 4);
  rig.advance(10min + 1s);
  rig.exit("web", 1);
  rig.settle();
  CHECK(rig.find("web")->state == model::RunState::kRunning);
  CHECK(rig.find("web")->attempt == 5);
  rig.exit("web", 1);
  rig.settle();
  CHECK(rig.last.wake_at == rig.now + 10s);
}

TEST_CASE("row 10.1: what is published and told of a back-off") {
  Rig rig;
  rig.settle();
  rig.exit("web", 3);
  rig.settle();
  CHECK(rig.shown("web").restart_count == 1);
  CHECK(rig.shown("web").ready);
  rig.exit("web", 3);
  rig.settle();
  REQUIRE(waiting(rig, "web") != nullptr);
  CHECK(*waiting(rig, "web") ==
        model::StateWaiting{"CrashLoopBackOff", "back-off 10s restarting failed container=web pod=p_default(uid-1)"});
  const auto& last = std::get<model::StateTerminated>(rig.shown("web").last_state);
  CHECK(last.exit_code == 3);
  CHECK(last.reason == "Error");
  CHECK(last.finished_at == rig.now);
  CHECK(rig.shown("web").restart_count == 1);
  CHECK_FALSE(rig.shown("web").ready);
  CHECK(rig.status().phase == model::Phase::kRunning);
  CHECK(rig.condition("Ready").message == "containers with unready status: [web]");
  rig.settle();
  const auto told = rig.told();
  CHECK(std::count(told.begin(), told.end(), "Warning BackOff: Back-off restarting failed container web in pod p_default(uid-1)") == 1);
  CHECK(rig.last.explanation == "container 'web' ended with exit code 3 (Error); restarted in 10s");
}

TEST_CASE("row 9.7: policy and exit code decide on a restart, and on the phase (6.9)") {
  struct Row {
    RestartPolicy policy;
    int code;
    bool restarted;
    model::Phase phase;
  };
  for (const Row& row :
       {Row{RestartPolicy::kAlways, 0, true, model::Phase::kRunning}, Row{RestartPolicy::kAlways, 1, true, model::Phase::kRunning},
        Row{RestartPolicy::kOnFailure, 0, false, model::Phase::kSucceeded}, Row{RestartPolicy::kOnFailure, 1, true, model::Phase::kRunning},
        Row{RestartPolicy::kNever, 0, false, model::Phase::kSucceeded}, Row{RestartPolicy::kNever, 1, false, model::Phase::kFailed}}) {
    CAPTURE(to_string(row.policy), row.code);
    auto wanted = pod();
    wanted.spec.restart_policy = row.policy;
    Rig rig(wanted);
    rig.settle();
    rig.exit("web", row.code);
    rig.settle();
    CHECK((rig.count("start container") == 2) == row.restarted);
    CHECK(rig.status().phase == row.phase);
  }
}

TEST_CASE("row 9.13: a container's own policy comes before the pod's") {
  auto once = container("once");
  once.restart_policy = RestartPolicy::kNever;
  Rig rig(pod({container("web"), once}));
  rig.settle();
  rig.exit("once", 1);
  rig.settle();
  CHECK(rig.count("start container 'once'") == 1);
  CHECK(rig.status().phase == model::Phase::kRunning);
}

TEST_CASE("row 6.9: one of two ended without restart leaves the pod running") {
  auto wanted = pod({container("a"), container("b")});
  wanted.spec.restart_policy = RestartPolicy::kNever;
  Rig rig(wanted);
  rig.settle();
  rig.exit("a", 1);
  rig.settle();
  CHECK(rig.status().phase == model::Phase::kRunning);
  CHECK(std::get<model::StateTerminated>(rig.shown("a").state).exit_code == 1);
  rig.exit("b", 0);
  rig.settle();
  CHECK(rig.status().phase == model::Phase::kFailed);
}

TEST_CASE("rows 6.12 and 6.14: a container whose record is gone is counted and made anew") {
  Rig rig;
  rig.settle();
  rig.runtime.containers.clear();
  rig.observed = rig.runtime;
  rig.settle();
  CHECK(rig.count("start container 'web' (attempt 1)") == 1);
  CHECK(rig.shown("web").restart_count == 1);
  const auto& last = std::get<model::StateTerminated>(rig.shown("web").last_state);
  CHECK(last.reason == "ContainerStatusUnknown");
  CHECK(last.exit_code == 137);
}
