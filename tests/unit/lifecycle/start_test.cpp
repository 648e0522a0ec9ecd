// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "unit/lifecycle/rig.h"

using namespace pintle;
using namespace pintle::lifecycle;
using namespace pintle::lifecycle::test;

TEST_CASE("design: a pod flows from cgroup over programs and volumes to its containers") {
  Rig rig;
  rig.settle();
  CHECK(rig.log == std::vector<std::string>{"make the pod's cgroup", "attach eBPF programs", "mount volumes",
                                            "ensure image 'busybox:1.36' for container 'web'", "run sandbox (attempt 0)",
                                            "start container 'web' (attempt 0)"});
  CHECK(rig.status().phase == model::Phase::kRunning);
  CHECK(rig.status().pod_ips == std::vector<std::string>{"10.244.0.5"});
  CHECK(rig.status().start_time == kStart);
  CHECK(rig.status().observed_generation == 1);
  CHECK(rig.shown("web").ready);
  CHECK(rig.shown("web").container_id.starts_with("containerd://web-0"));
  CHECK(rig.condition("Ready").status == model::ConditionStatus::kTrue);
  CHECK(rig.condition("Ready").observed_generation == 1);
  CHECK(rig.condition("pintle.dev/ProgramsAttached").reason == "Attached");
  CHECK_FALSE(rig.last.wake_at);
  CHECK(rig.last.explanation == "running");
  CHECK(rig.told() == std::vector<std::string>{
                          "Normal Pulled: Container image \"busybox:1.36\" already present on machine and can be accessed by the pod",
                          "Normal Created: Container created", "Normal Started: Container started"});
  CHECK(rig.events.front().object.field_path == "spec.containers{web}");
  CHECK(rig.events.front().object.uid == "uid-1");
}

TEST_CASE("row 6.3: conditions come in the order and with the texts of the kubelet") {
  Rig rig(pod({container("b"), container("a")}));
  rig.decide();
  REQUIRE(rig.status().conditions.size() == 5);
  CHECK(rig.status().phase == model::Phase::kPending);
  CHECK(rig.status().conditions[0].type == "PodReadyToStartContainers");
  CHECK(rig.status().conditions[0].status == model::ConditionStatus::kFalse);
  CHECK(rig.condition("Initialized").status == model::ConditionStatus::kTrue);
  CHECK(rig.condition("Ready").reason == "ContainersNotReady");
  CHECK(rig.condition("Ready").message == "containers with unready status: [b a]");
  CHECK(rig.condition("PodScheduled").status == model::ConditionStatus::kTrue);
  CHECK(rig.status().container_statuses[0].name == "a");  // row 6.24
  CHECK(std::get<model::StateWaiting>(rig.shown("a").state).reason == "ContainerCreating");
  CHECK(rig.status().qos_class == model::QosClass::kBestEffort);
}

TEST_CASE("row 9.4: containers start one after the other in spec order; one that fails does not hold the others") {
  Rig rig(pod({container("one"), container("two")}));
  rig.fault = [&](const Action& a) -> std::optional<ActionOutcome> {
    const auto* start = std::get_if<StartContainer>(&a);
    if (start == nullptr || start->name != "one") return std::nullopt;
    ActionOutcome out;
    out.error = Error{Code::kInternal, 0, "couldn't find key x in ConfigMap default/cm"};
    out.reason = "CreateContainerConfigError";
    return out;
  };
  rig.settle();
  CHECK(rig.index("start container 'one'") < rig.index("start container 'two'"));
  CHECK(std::get<model::StateWaiting>(rig.shown("one").state) ==
        model::StateWaiting{"CreateContainerConfigError", "couldn't find key x in ConfigMap default/cm"});
  CHECK(rig.shown("two").ready);
  CHECK(rig.status().phase == model::Phase::kPending);
  CHECK(rig.was_told("Warning Failed: Error: couldn't find key x in ConfigMap default/cm"));
  CHECK(rig.last.wake_at == kStart + 50ms);
  const int before = rig.count("start container 'one'");
  rig.wake();
  CHECK(rig.count("start container 'one'") == before + 1);
  CHECK(rig.last.wake_at == rig.now + 100ms);
  rig.fault = nullptr;
  rig.wake();
  CHECK(rig.status().phase == model::Phase::kRunning);
  CHECK(std::count(rig.log.begin(), rig.log.end(), "start container 'one' (attempt 0)") == 3);
}

TEST_CASE("row 5.6: a pod of its own network waits for the network, one of the host's starts") {
  Rig rig;
  rig.facts.network_ready = false;
  rig.facts.network_message = "cni plugin not initialized";
  rig.settle();
  CHECK(rig.count("run sandbox") == 0);
  CHECK(rig.was_told("Warning NetworkNotReady: network is not ready: cni plugin not initialized"));
  CHECK(rig.last.explanation == "the node's network is not ready: cni plugin not initialized");
  rig.facts.network_ready = true;
  rig.settle();
  CHECK(rig.status().phase == model::Phase::kRunning);

  auto wanted = pod();
  wanted.spec.host_network = true;
  Rig host(wanted);
  host.facts.network_ready = false;
  host.settle();
  CHECK(host.status().phase == model::Phase::kRunning);
  CHECK(host.status().pod_ips == std::vector<std::string>{"10.77.0.1"});
}

TEST_CASE("row 5.6: of a runtime that is down nothing is asked, and the status stands") {
  Rig rig;
  rig.settle();
  const auto before = rig.status();
  rig.facts.runtime_ready = false;
  rig.exit("web", 1);
  rig.decide();
  CHECK(rig.last.plan.empty());
  CHECK(rig.status() == before);
  CHECK(rig.last.explanation == "the container runtime is down: nothing is asked of it");
}

TEST_CASE("row 10.4: a failed step of the pod waits 50 ms, doubled to 10 s") {
  Rig rig;
  rig.fault = [](const Action& a) -> std::optional<ActionOutcome> {
    if (!std::holds_alternative<RunSandbox>(a)) return std::nullopt;
    ActionOutcome out;
    out.error = Error{Code::kInternal, 0, "no pause image"};
    return out;
  };
  rig.settle();
  Duration expected = 50ms;
  for (int i = 0; i < 12; ++i) {
    REQUIRE(rig.last.wake_at == rig.now + expected);
    rig.wake();
    expected = std::min<Duration>(expected * 2, 10s);
  }
  CHECK(rig.events.size() == 2);  // Pulled, and the failure once for one text
  CHECK(rig.was_told("Warning FailedCreatePodSandBox: Failed to create pod sandbox: no pause image"));
  CHECK(std::get<model::StateWaiting>(rig.shown("web").state).reason == "ContainerCreating");
  rig.fault = nullptr;
  rig.wake();
  CHECK(rig.status().phase == model::Phase::kRunning);
}

TEST_CASE("rows 10.3 and 19.3: a pull that fails backs off 10 s to 300 s") {
  Rig rig;
  int tries = 0;
  rig.fault = [&](const Action& a) -> std::optional<ActionOutcome> {
    if (!std::holds_alternative<EnsureImage>(a)) return std::nullopt;
    ++tries;
    ActionOutcome out;
    out.error = Error{Code::kNotFound, 0, "not found"};
    out.reason = "ErrImagePull";
    return out;
  };
  rig.settle();
  CHECK(rig.count("run sandbox") == 1);  // a missing image does not hold the sandbox
  CHECK(std::get<model::StateWaiting>(rig.shown("web").state) == model::StateWaiting{"ErrImagePull", "not found"});
  CHECK(rig.told() == std::vector<std::string>{"Normal Pulling: Pulling image \"busybox:1.36\"",
                                               "Warning Failed: Failed to pull image \"busybox:1.36\": not found",
                                               "Warning Failed: Error: ErrImagePull"});
  rig.wake();
  CHECK(rig.now == kStart + 5s);
  CHECK(std::get<model::StateWaiting>(rig.shown("web").state) ==
        model::StateWaiting{"ImagePullBackOff", "Back-off pulling image \"busybox:1.36\": ErrImagePull: not found"});
  CHECK(rig.was_told("Normal BackOff: Back-off pulling image \"busybox:1.36\""));
  CHECK(rig.was_told("Warning Failed: Error: ImagePullBackOff"));
  std::vector<int64_t> waits;
  Time tried_at = kStart;
  while (tries < 8) {
    const int before = tries;
    rig.wake();
    if (tries > before) {
      waits.push_back(std::chrono::duration_cast<std::chrono::seconds>(rig.now - tried_at).count());
      tried_at = rig.now;
    }
  }
  CHECK(waits == std::vector<int64_t>{10, 20, 40, 80, 160, 300, 300});
  rig.fault = nullptr;
  rig.image_is_pulled = true;
  while (rig.status().phase != model::Phase::kRunning) REQUIRE(rig.wake());
  CHECK(rig.was_told("Normal Pulled: Successfully pulled image \"busybox:1.36\" in 1.5s (1.5s including waiting). Image size: 10 bytes."));
}

TEST_CASE("row 19.1: policy Never has its own reason") {
  auto c = container("web");
  c.image_pull_policy = model::PullPolicy::kNever;
  Rig rig(pod({c}));
  rig.fault = [&](const Action& a) -> std::optional<ActionOutcome> {
    if (!std::holds_alternative<EnsureImage>(a)) return std::nullopt;
    ActionOutcome out;
    out.error = Error{Code::kNotFound, 0, "absent"};
    out.reason = "ErrImageNeverPull";
    return out;
  };
  rig.settle();
  const std::string text = "Container image \"busybox:1.36\" is not present with pull policy of Never";
  CHECK(std::get<model::StateWaiting>(rig.shown("web").state) == model::StateWaiting{"ErrImageNeverPull", text});
  CHECK(rig.was_told("Warning ErrImageNeverPull: " + text));
  rig.wake();
  CHECK(std::get<model::StateWaiting>(rig.shown("web").state).reason == "ErrImageNeverPull");
}

TEST_CASE("rows 9.1 and 9.3: a dead sandbox is replaced, containers are killed and started again, init containers first") {
  auto wanted = pod();
  wanted.spec.init_containers = {container("prepare")};
  Rig rig(wanted);
  rig.settle();
  rig.exit("prepare", 0);
  rig.settle();
  CHECK(rig.status().phase == model::Phase::kRunning);
  rig.runtime.sandboxes.front().state = model::SandboxState::kNotReady;
  rig.observed = rig.runtime;
  rig.log.clear();
  rig.settle();
  CHECK(rig.log[0] == "stop container 'web' (grace 30s)");
  CHECK(rig.log[1] == "run sandbox (attempt 1)");
  CHECK(rig.index("start container 'prepare' (attempt 1)") > 1);
  CHECK(rig.count("start container 'web'") == 0);
  CHECK(rig.was_told("Normal SandboxChanged: Pod sandbox changed, it will be killed and re-created."));
  rig.exit("prepare", 0);
  rig.settle();
  CHECK(rig.count("start container 'web' (attempt 1)") == 1);
  CHECK(rig.shown("web").restart_count == 1);
  CHECK(rig.runtime.sandboxes.size() == 2);  // row 20.1: the old one goes when the last dead record in it went
}

TEST_CASE("row 9.2: with policy Never a dead sandbox is the end") {
  auto wanted = pod();
  wanted.spec.restart_policy = model::RestartPolicy::kNever;
  Rig rig(wanted);
  rig.settle();
  rig.runtime.sandboxes.front().state = model::SandboxState::kNotReady;
  rig.exit("web", 255);
  rig.settle();
  CHECK(rig.count("run sandbox") == 1);
  CHECK(rig.status().phase == model::Phase::kFailed);
}

TEST_CASE("row 9.8: a changed image restarts the container whatever the policy says") {
  auto wanted = pod();
  wanted.spec.restart_policy = model::RestartPolicy::kNever;
  Rig rig(wanted);
  rig.settle();
  rig.desired.spec.containers[0].image = "busybox:1.37";
  rig.settle();
  CHECK(rig.was_told("Normal Killing: Container web definition changed, will be restarted"));
  CHECK(rig.count("start container 'web' (attempt 1)") == 1);
  CHECK(rig.status().phase == model::Phase::kRunning);
}

TEST_CASE("row 9.7: one that was created and never started is started under the same attempt") {
  Rig rig;
  rig.settle();
  auto* c = rig.find("web");
  c->state = model::RunState::kCreated;
  rig.observed = rig.runtime;
  rig.restart_agent();
  rig.settle();
  CHECK(rig.log.back() == "start container 'web' (attempt 0)");
  CHECK(rig.status().phase == model::Phase::kRunning);
}

TEST_CASE("row 11.1: a container whose postStart failed is killed and started again") {
  Rig rig;
  bool failed = false;
  rig.settle();
  rig.exit("web", 1);
  rig.fault = [&](const Action& a) -> std::optional<ActionOutcome> {
    const auto* start = std::get_if<StartContainer>(&a);
    if (start == nullptr || failed) return std::nullopt;
    failed = true;
    auto running = rig.runtime.containers.front();
    running.id = ContainerId("hooked");
    running.attempt = start->attempt;
    running.state = model::RunState::kRunning;
    rig.runtime.containers.insert(rig.runtime.containers.begin(), running);
    ActionOutcome out;
    out.error = Error{Code::kInternal, 0, "exit code 1"};
    out.reason = "PostStartHookError";
    out.observed = rig.runtime;
    return out;
  };
  rig.settle();
  CHECK(rig.was_told("Warning FailedPostStartHook: PostStartHook failed"));
  CHECK(rig.was_told("Normal Killing: FailedPostStartHook"));
  CHECK(rig.find("web")->state == model::RunState::kExited);
  CHECK(std::get<model::StateWaiting>(rig.shown("web").state).reason == "CrashLoopBackOff");
}

TEST_CASE("row 20.1: of dead instances the newest is kept") {
  Rig rig;
  rig.settle();
  for (int i = 0; i < 4; ++i) {
    rig.exit("web", 1);
    rig.settle();
    while (rig.find("web")->state != model::RunState::kRunning) REQUIRE(rig.wake());
    CHECK(rig.runtime.containers.size() <= 2);
  }
  CHECK(rig.count("remove container") == 3);
  CHECK(rig.shown("web").restart_count == 4);
  CHECK(std::get<model::StateTerminated>(rig.shown("web").last_state).container_id.starts_with("containerd://web-3-"));
}

TEST_CASE("row 27.1: an ephemeral container is started once and counts for nothing") {
  Rig rig;
  rig.settle();
  rig.desired.spec.ephemeral_containers = {container("debug")};
  rig.settle();
  CHECK(rig.count("start container 'debug'") == 1);
  rig.exit("debug", 1);
  rig.settle();
  CHECK(rig.count("start container 'debug'") == 1);
  CHECK(rig.status().phase == model::Phase::kRunning);
  CHECK(rig.condition("Ready").status == model::ConditionStatus::kTrue);
}

TEST_CASE("a list without details is read in full before anything is concluded") {
  Rig rig;
  rig.settle();
  auto list = rig.runtime;
  for (auto& c : list.containers) {
    c.detailed = false;
    c.started_at = Time{};
  }
  for (auto& s : list.sandboxes) s.ips.clear();
  rig.restart_agent();
  rig.observed = list;
  rig.log.clear();
  rig.settle();
  CHECK(rig.log.front() == "read the pod back from the runtime");
  CHECK(rig.count("read") == 1);
  CHECK(rig.count("run sandbox") == 0);
  CHECK(rig.status().pod_ips == std::vector<std::string>{"10.244.0.5"});
}
