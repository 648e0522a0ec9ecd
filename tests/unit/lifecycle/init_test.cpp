// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "unit/lifecycle/rig.h"

using namespace pintle;
using namespace pintle::lifecycle;
using namespace pintle::lifecycle::test;
using model::RestartPolicy;

namespace {

model::Container sidecar(std::string name) {
  auto c = container(std::move(name));
  c.restart_policy = RestartPolicy::kAlways;
  return c;
}
model::Pod with_init(std::vector<model::Container> init, RestartPolicy policy = RestartPolicy::kAlways) {
  auto wanted = pod();
  wanted.spec.init_containers = std::move(init);
  wanted.spec.restart_policy = policy;
  return wanted;
}

}  // namespace

TEST_CASE("row 9.5: init containers run one after the other, then the regular ones") {
  Rig rig(with_init({container("i1"), container("i2")}));
  rig.settle();
  CHECK(rig.count("start container") == 1);
  CHECK(rig.status().phase == model::Phase::kPending);
  CHECK(std::get<model::StateWaiting>(rig.shown("web").state).reason == "PodInitializing");
  CHECK(std::get<model::StateWaiting>(rig.shown("i2").state).reason == "PodInitializing");
  CHECK(rig.condition("Initialized").reason == "ContainersNotInitialized");
  CHECK(rig.condition("Initialized").message == "containers with incomplete status: [i1 i2]");
  CHECK(rig.events.back().object.field_path == "spec.initContainers{i1}");
  rig.exit("i1", 0);
  rig.settle();
  CHECK(rig.count("start container 'i2'") == 1);
  CHECK(rig.shown("i1").ready);
  CHECK(rig.shown("i1").started == false);
  CHECK(rig.condition("Initialized").message == "containers with incomplete status: [i2]");
  CHECK(rig.count("start container 'web'") == 0);
  rig.exit("i2", 0);
  rig.settle();
  CHECK(rig.count("start container 'web'") == 1);
  CHECK(rig.status().phase == model::Phase::kRunning);
  CHECK(rig.condition("Initialized").status == model::ConditionStatus::kTrue);
}

TEST_CASE("row 9.5: a failed init container is tried again with back-off, or ends the pod") {
  Rig rig(with_init({container("i1")}, RestartPolicy::kOnFailure));
  rig.settle();
  rig.exit("i1", 1);
  rig.settle();
  CHECK(rig.count("start container 'i1' (attempt 1)") == 1);
  rig.exit("i1", 1);
  rig.settle();
  CHECK(rig.last.wake_at == rig.now + 10s);
  CHECK(rig.status().phase == model::Phase::kPending);
  CHECK(std::get<model::StateWaiting>(rig.shown("i1").state).reason == "CrashLoopBackOff");

  Rig never(with_init({container("i1")}, RestartPolicy::kNever));
  never.settle();
  never.exit("i1", 1);
  never.settle();
  CHECK(never.status().phase == model::Phase::kFailed);
  CHECK(never.count("start container 'web'") == 0);
  CHECK(std::get<model::StateWaiting>(never.shown("web").state).reason == "PodInitializing");
}

TEST_CASE("row 9.5: completed init containers are not run again, also when their records are gone") {
  Rig rig(with_init({container("i1"), container("i2")}));
  rig.settle();
  rig.exit("i1", 0);
  rig.settle();
  rig.exit("i2", 0);
  rig.settle();
  std::erase_if(rig.runtime.containers, [](const auto& c) { return c.name != "web"; });
  rig.restart_agent();
  rig.settle();
  CHECK(rig.count("start container 'i1'") == 1);
  CHECK(rig.count("start container 'i2'") == 1);
  CHECK(rig.condition("Initialized").status == model::ConditionStatus::kTrue);
  CHECK(rig.status().phase == model::Phase::kRunning);
}

TEST_CASE("row 9.6: a sidecar counts as done once it is started, whatever its readiness says") {
  auto side = sidecar("side");
  side.startup_probe = model::Probe{};
  side.startup_probe->action = model::ExecAction{{"true"}};
  side.readiness_probe = side.startup_probe;
  Rig rig(with_init({side, container("i2")}));
  rig.settle();
  CHECK(rig.count("start container 'i2'") == 0);
  REQUIRE(rig.last.probes.size() == 1);
  CHECK(rig.last.probes[0].kind == ProbeKind::kStartup);
  rig.probe("side", ProbeKind::kStartup, ProbeResult::kSuccess);
  rig.settle();
  CHECK(rig.count("start container 'i2'") == 1);
  CHECK(rig.shown("side").started == true);
  CHECK_FALSE(rig.shown("side").ready);
  rig.exit("i2", 0);
  rig.settle();
  CHECK(rig.status().phase == model::Phase::kRunning);
  CHECK(rig.condition("Ready").message == "containers with unready status: [side]");
  rig.probe("side", ProbeKind::kReadiness, ProbeResult::kSuccess);
  rig.settle();
  CHECK(rig.condition("Ready").status == model::ConditionStatus::kTrue);
}

TEST_CASE("row 9.6: a sidecar is always restarted and does not hold the pod's end") {
  Rig rig(with_init({sidecar("side")}, RestartPolicy::kNever));
  rig.settle();
  CHECK(rig.status().phase == model::Phase::kRunning);
  rig.exit("side", 0);
  rig.settle();
  CHECK(rig.count("start container 'side' (attempt 1)") == 1);
  rig.exit("web", 0);
  rig.decide();
  CHECK(rig.status().phase == model::Phase::kRunning);  // withheld while the sidecar runs
  rig.settle();
  CHECK(rig.find("side")->state == model::RunState::kExited);  // row 9.9
  CHECK(rig.status().phase == model::Phase::kSucceeded);
  CHECK(rig.last.finished);
}

TEST_CASE("row 9.6: the postStart of a sidecar holds the next init container") {
  Rig rig(with_init({sidecar("side"), container("i2")}));
  rig.decide();
  while (rig.running.empty() || !std::holds_alternative<StartContainer>(rig.running.front())) {
    rig.finish();
    rig.decide();
  }
  // The container is seen running while its StartContainer (postStart) is not done.
  model::ObservedContainer c;
  c.id = ContainerId("side-x");
  c.name = "side";
  c.sandbox_id = rig.runtime.sandboxes.front().id;
  c.state = model::RunState::kRunning;
  c.detailed = true;
  c.created_at = c.started_at = rig.now;
  rig.observed = rig.runtime;
  rig.observed->containers = {c};
  rig.decide();
  CHECK(rig.shown("side").started == false);
  CHECK(rig.last.plan.empty());
}
