// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "lifecycle/terminate.h"
#include "unit/lifecycle/rig.h"

using namespace pintle;
using namespace pintle::lifecycle;
using namespace pintle::lifecycle::test;
using model::Phase;

namespace {

void mark_deleted(Rig& rig, int64_t grace) {
  rig.desired.metadata.deletion_timestamp = rig.now + std::chrono::seconds(grace);
  rig.desired.metadata.deletion_grace_period_seconds = grace;
}

model::Pod with_sidecars() {
  auto wanted = pod({container("a"), container("b")});
  for (const char* name : {"s1", "s2"}) {
    auto c = container(name);
    c.restart_policy = model::RestartPolicy::kAlways;
    wanted.spec.init_containers.push_back(c);
  }
  return wanted;
}

const StopContainer& stop(const Action& action) { return std::get<StopContainer>(action); }

}  // namespace

TEST_CASE("rows 4.7, 4.8, 11.9: a deleted pod stops, releases everything in order and is finished") {
  Rig rig;
  rig.settle();
  mark_deleted(rig, 30);
  rig.log.clear();
  rig.decide();
  CHECK(rig.status().phase == Phase::kRunning);  // row 6.10
  CHECK_FALSE(rig.last.finished);
  rig.settle();
  CHECK(rig.log == std::vector<std::string>{"stop container 'web' (grace 30s)", "stop sandbox 's1'", "unmount volumes",
                                            "detach eBPF programs", "remove the pod's cgroup", "remove container 'web-0-2'",
                                            "remove sandbox 's1'", "remove the pod's logs and directory"});
  CHECK(rig.last.finished);
  CHECK(rig.status().phase == Phase::kFailed);  // exit code 137
  CHECK(std::get<model::StateTerminated>(rig.shown("web").state).exit_code == 137);
  CHECK(rig.status().pod_ips == std::vector<std::string>{"10.244.0.5"});
  CHECK(rig.condition("Ready").status == model::ConditionStatus::kFalse);
  CHECK(rig.condition("Ready").reason == "PodFailed");
  CHECK(rig.was_told("Normal Killing: Stopping container web"));
  CHECK_FALSE(rig.last.wake_at);
}

TEST_CASE("row 6.9: a deleted pod whose containers end with 0 has succeeded") {
  Rig rig;
  rig.settle();
  mark_deleted(rig, 30);
  rig.exit("web", 0);
  rig.settle();
  CHECK(rig.status().phase == Phase::kSucceeded);
  CHECK(rig.condition("Ready").reason == "PodCompleted");
  CHECK(rig.count("start container") == 1);  // row 9.7
}

TEST_CASE("row 6.27: a pod deleted before anything ran ends as failed") {
  Rig rig;
  mark_deleted(rig, 30);
  rig.settle();
  CHECK(rig.last.finished);
  CHECK(rig.count("start") + rig.count("run") + rig.count("make") == 0);
  CHECK(rig.status().phase == Phase::kFailed);
  const auto& end = std::get<model::StateTerminated>(rig.shown("web").state);
  CHECK(end.reason == "ContainerStatusUnknown");
  CHECK(end.message == "The container could not be located when the pod was terminated");
}

TEST_CASE("row 4.5: the grace period of a pod") {
  struct Row {
    const char* what;
    std::optional<int64_t> deletion;
    int64_t spec, expected;
  };
  for (const Row& row : {Row{"spec", {}, 30, 30}, Row{"deletion is asked", 5, 30, 5}, Row{"never under 1", 0, 30, 1},
                         Row{"spec of 0", {}, 0, 1}, Row{"longer than the spec", 60, 30, 60}}) {
    CAPTURE(row.what);
    auto wanted = pod();
    wanted.metadata.deletion_grace_period_seconds = row.deletion;
    wanted.spec.termination_grace_period_seconds = row.spec;
    CHECK(asked_grace(wanted) == row.expected);
  }
}

TEST_CASE("rows 4.4 and 4.5: a shorter grace cancels the stop that runs; a longer one is not listened to") {
  Rig rig;
  rig.settle();
  mark_deleted(rig, 30);
  rig.decide();
  REQUIRE(rig.running.size() == 1);
  CHECK(stop(rig.running[0]).grace == 30s);
  CHECK(stop(rig.running[0]).run_pre_stop);
  rig.advance(3s);
  rig.desired.metadata.deletion_grace_period_seconds = 60;
  CHECK_FALSE(rig.decide().cancel_running);
  rig.desired.metadata.deletion_grace_period_seconds = 2;
  CHECK(rig.decide().cancel_running);
  CHECK_FALSE(rig.decide().cancel_running);  // once
  rig.fault = [&](const Action&) -> std::optional<ActionOutcome> {
    ActionOutcome out;
    out.error = Error{Code::kCancelled, 0, "cancelled"};
    out.observed = rig.runtime;
    return out;
  };
  rig.finish();
  rig.fault = nullptr;
  rig.decide();
  REQUIRE(rig.running.size() == 1);
  CHECK(stop(rig.running[0]).grace == 2s);
  CHECK_FALSE(stop(rig.running[0]).run_pre_stop);  // not a second time
  rig.settle();
  const auto told = rig.told();
  CHECK(std::count(told.begin(), told.end(), "Normal Killing: Stopping container web") == 1);
}

TEST_CASE("row 4.4: a deletion cancels the start that runs, and what it left is stopped") {
  Rig rig;
  rig.decide();
  CHECK_FALSE(rig.running.empty());
  mark_deleted(rig, 30);
  CHECK(rig.decide().cancel_running);
  rig.settle();
  CHECK(rig.count("start") == 0);
  CHECK(rig.last.finished);
}

TEST_CASE("row 11.6: sidecars stop after all regular containers, in reverse order, within the same grace") {
  Rig rig(with_sidecars());
  rig.settle();
  mark_deleted(rig, 20);
  rig.decide();
  REQUIRE(rig.running.size() == 2);
  rig.advance(8s);
  rig.finish();
  rig.decide();
  REQUIRE(rig.running.size() == 1);
  CHECK(stop(rig.running[0]).name == "s2");
  CHECK(stop(rig.running[0]).grace == 12s);
  rig.advance(30s);
  rig.finish();
  rig.decide();
  REQUIRE(rig.running.size() == 1);
  CHECK(stop(rig.running[0]).name == "s1");
  CHECK(stop(rig.running[0]).grace == 1s);
  rig.settle();
  CHECK(rig.last.finished);
}

TEST_CASE("row 3.9: the active deadline ends a pod as failed") {
  auto wanted = pod();
  wanted.spec.active_deadline_seconds = 60;
  Rig rig(wanted);
  rig.settle();
  CHECK(rig.last.wake_at == kStart + 60s);
  rig.advance(59s);
  rig.settle();
  CHECK(rig.status().phase == Phase::kRunning);
  rig.wake();
  CHECK(rig.status().phase == Phase::kFailed);
  CHECK(rig.status().reason == "DeadlineExceeded");
  CHECK(rig.status().message == "Pod was active on the node longer than the specified deadline");
  CHECK(rig.was_told("Normal DeadlineExceeded: Pod was active on the node longer than the specified deadline"));
  CHECK(rig.last.finished);
  CHECK(rig.runtime.containers.size() == 1);  // kept for its logs
}

TEST_CASE("rows 3.5 and 26.3: a pod that is gone from its source stops with the spec's grace and leaves no record") {
  auto wanted = pod();
  wanted.spec.termination_grace_period_seconds = 7;
  Rig rig(wanted);
  rig.settle();
  rig.removed = true;
  rig.decide();
  REQUIRE(rig.running.size() == 1);
  CHECK(stop(rig.running[0]).grace == 7s);
  rig.settle();
  CHECK(rig.last.finished);
  CHECK(rig.runtime.containers.empty());
  CHECK(rig.runtime.sandboxes.empty());
}

TEST_CASE("row 6.10: a pod that ended keeps its records until it is deleted, and its phase for ever") {
  auto wanted = pod();
  wanted.spec.restart_policy = model::RestartPolicy::kNever;
  Rig rig(wanted);
  rig.settle();
  rig.exit("web", 0);
  rig.settle();
  CHECK(rig.last.finished);
  CHECK(rig.status().phase == Phase::kSucceeded);
  CHECK(rig.runtime.containers.size() == 1);
  CHECK(rig.count("remove the pod's cgroup") == 1);
  CHECK(rig.count("remove the pod's logs") == 0);  // they are read still
  rig.restart_agent();
  rig.settle();
  CHECK(rig.status().phase == Phase::kSucceeded);
  CHECK(std::get<model::StateTerminated>(rig.shown("web").state).exit_code == 0);
  CHECK(rig.count("start container") == 1);
  mark_deleted(rig, 30);
  rig.settle();
  CHECK(rig.last.finished);
  CHECK(rig.runtime.containers.empty());
  CHECK(rig.runtime.sandboxes.empty());
  CHECK(rig.count("remove the pod's logs") == 1);
  CHECK(rig.log.back() == "remove the pod's logs and directory");
  CHECK(rig.status().phase == Phase::kSucceeded);
}

TEST_CASE("row 20.1: a release that is cut short before any of its steps is finished by the next start") {
  const auto released = [](Rig& rig) {
    CHECK(rig.last.finished);
    CHECK(rig.runtime.containers.empty());
    CHECK(rig.runtime.sandboxes.empty());
    CHECK(rig.log.back() == "remove the pod's logs and directory");  // what it is known by goes last
  };
  for (const bool removed : {false, true})
    for (int steps = 0; steps < 9; ++steps) {
      CAPTURE(removed, steps);
      Rig rig;
      rig.settle();
      if (removed)
        rig.removed = true;
      else
        mark_deleted(rig, 30);
      rig.decide();
      for (int done = 0; done < steps && !rig.running.empty(); ++done) {
        rig.finish();
        rig.decide();
      }
      rig.restart_agent();
      rig.settle();
      released(rig);
    }
}

TEST_CASE("row 20.1: logs that can't be removed hold the end of the pod, and say so") {
  Rig rig;
  rig.settle();
  mark_deleted(rig, 30);
  int failures = 2;
  rig.fault = [&](const Action& a) -> std::optional<ActionOutcome> {
    if (!std::holds_alternative<RemoveFiles>(a) || failures-- <= 0) return std::nullopt;
    ActionOutcome out;
    out.error = Error{Code::kUnavailable, EROFS, "delete '/var/log/x': Read-only file system"};
    return out;
  };
  rig.settle();
  CHECK_FALSE(rig.last.finished);
  CHECK(rig.last.explanation ==
        "the pod's logs and directory could not be removed: delete '/var/log/x': Read-only file system; tried again in 50ms");
  for (int i = 0; i < 5 && !rig.last.finished; ++i) REQUIRE(rig.wake());
  CHECK(rig.last.finished);
}

TEST_CASE("row 4.13: a terminal pod with a container that still runs has it stopped") {
  Rig rig;
  rig.settle();
  rig.restart_agent();
  rig.desired.status.phase = Phase::kFailed;
  rig.settle();
  CHECK(rig.find("web")->state == model::RunState::kExited);
  CHECK(rig.status().phase == Phase::kFailed);
  CHECK(rig.last.finished);
}

TEST_CASE("a stop or a release that fails is told and repeated") {
  Rig rig;
  rig.settle();
  mark_deleted(rig, 30);
  int failures = 3;
  rig.fault = [&](const Action& a) -> std::optional<ActionOutcome> {
    if (!std::holds_alternative<StopContainer>(a) && !std::holds_alternative<RemoveCgroup>(a)) return std::nullopt;
    if (failures-- <= 0) {
      failures = 3;
      return std::nullopt;
    }
    ActionOutcome out;
    out.error = Error{Code::kUnavailable, 0, "no answer"};
    return out;
  };
  rig.settle();
  CHECK_FALSE(rig.last.finished);
  CHECK(rig.was_told("Warning FailedKillPod: error killing pod: no answer"));
  CHECK(rig.last.explanation == "a container could not be stopped: no answer; tried again in 50ms");
  for (int i = 0; i < 20 && !rig.last.finished; ++i) REQUIRE(rig.wake());
  CHECK(rig.last.finished);
  CHECK(rig.count("stop container") == 4);
  CHECK(rig.count("remove the pod's cgroup") == 4);
}

TEST_CASE("row 6.10: a terminal phase is withheld while a container runs, but the pod is not ready any more") {
  auto side = container("side");
  side.restart_policy = model::RestartPolicy::kAlways;
  auto wanted = pod();
  wanted.spec.restart_policy = model::RestartPolicy::kNever;
  wanted.spec.init_containers = {side, container("init")};
  Rig pending(wanted);
  pending.settle();
  pending.exit("init", 1);
  pending.decide();
  CHECK(pending.find("side")->state == model::RunState::kRunning);
  CHECK(pending.status().phase == Phase::kPending);
  pending.settle();
  CHECK(pending.status().phase == Phase::kFailed);

  auto short_lived = pod();
  short_lived.spec.active_deadline_seconds = 60;
  Rig running(short_lived);
  running.settle();
  running.advance(60s);
  running.decide();
  CHECK(running.status().phase == Phase::kRunning);
  CHECK(running.status().reason.empty());
  CHECK(running.condition("Ready").reason == "PodFailed");
  CHECK(running.condition("Ready").status == model::ConditionStatus::kFalse);
  CHECK(running.condition("ContainersReady").last_transition_time == running.now);
}
