// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "unit/lifecycle/rig.h"

using namespace pintle;
using namespace pintle::lifecycle;
using namespace pintle::lifecycle::test;
using model::EbpfPolicy;
using model::Phase;

namespace {

model::Pod with_policy(const char* text) {
  auto wanted = pod();
  wanted.metadata.annotations[std::string(model::kEbpfPolicyAnnotation)] = text;
  return wanted;
}
constexpr const char* kCondition = "pintle.dev/ProgramsAttached";
const std::string kRefused =
    "ingress: operation not permitted; egress: operation not permitted; connect4: operation not permitted; "
    "connect6: operation not permitted";

model::PodProgramStatus program(bool required, model::HookState state) {
  model::PodProgramStatus status;
  status.name = "deny-telnet";
  status.required = required;
  status.state = state;
  if (state == model::HookState::kRefused) status.error = "the verifier refused";
  return status;
}

}  // namespace

TEST_CASE("design 2.5: a pod that requires its programs starts nothing without them, and says why") {
  Rig rig(with_policy("required"));
  rig.hooks_refused = true;
  rig.settle();
  for (int i = 0; i < 10; ++i) rig.wake();
  CHECK(rig.count("mount") + rig.count("ensure image") + rig.count("run sandbox") + rig.count("start") == 0);
  CHECK(rig.count("attach eBPF") == 11);
  CHECK(rig.status().phase == Phase::kPending);
  CHECK(rig.condition(kCondition).status == model::ConditionStatus::kFalse);
  CHECK(rig.condition(kCondition).reason == "AttachRefused");
  CHECK(rig.condition(kCondition).message == kRefused);
  CHECK(rig.last.explanation.starts_with("waits for its required eBPF programs: ingress: operation not permitted"));
  CHECK(rig.events.size() == 1);  // the same refusal is told once
  CHECK(rig.was_told("Warning FailedAttachPrograms: Failed to attach eBPF programs: " + kRefused));
  CHECK(rig.last.wake_at == rig.now + 10s);
  rig.hooks_refused = false;
  rig.wake();
  CHECK(rig.status().phase == Phase::kRunning);
  CHECK(rig.condition(kCondition).reason == "Attached");
  CHECK(rig.condition("Ready").status == model::ConditionStatus::kTrue);
}

TEST_CASE("design 2.5: best-effort is tried before anything starts, then runs degraded, and is tried again") {
  Rig rig(with_policy("best-effort"));
  rig.hooks_refused = true;
  rig.settle();
  CHECK(rig.index("attach eBPF") < rig.index("run sandbox"));
  CHECK(rig.status().phase == Phase::kRunning);
  CHECK(rig.condition("Ready").status == model::ConditionStatus::kTrue);
  CHECK(rig.condition(kCondition).reason == "Degraded");
  CHECK(rig.was_told("Warning FailedAttachPrograms: Failed to attach eBPF programs: " + kRefused));
  CHECK(rig.last.wake_at == kStart + 10s);
  rig.hooks_refused = false;
  rig.wake();
  CHECK(rig.condition(kCondition).reason == "Attached");
  CHECK_FALSE(rig.last.wake_at);
}

TEST_CASE("what a pod lacks though its hooks are in force is told once, tried again, and holds nothing up") {
  const std::string note = "its exec, exit and OOM events are not seen: the map is full";
  for (const char* policy : {"required", "best-effort"}) {
    Rig rig(with_policy(policy));
    rig.notes = {note};
    rig.settle();
    CHECK(rig.status().phase == Phase::kRunning);
    CHECK(rig.condition("Ready").status == model::ConditionStatus::kTrue);
    CHECK(rig.condition(kCondition).status == model::ConditionStatus::kTrue);
    CHECK(rig.condition(kCondition).reason == "Attached");
    CHECK(rig.condition(kCondition).message == note);
    CHECK(rig.was_told("Warning ProgramsIncomplete: Its eBPF programs are in force, but " + note));
    const auto told = rig.events.size();
    CHECK(rig.last.wake_at == kStart + 10s);
    rig.wake();
    CHECK(rig.count("attach eBPF") == 2);
    CHECK(rig.events.size() == told);
    CHECK(rig.last.wake_at == rig.now + 20s);
    rig.notes.clear();
    rig.wake();
    CHECK(rig.condition(kCondition).message.empty());
    CHECK_FALSE(rig.last.wake_at);
  }
}

TEST_CASE("a machine without eBPF: best-effort is not tried for ever, required waits") {
  const auto unsupported = [](const Action& a) -> std::optional<ActionOutcome> {
    if (!std::holds_alternative<AttachPrograms>(a)) return std::nullopt;
    ActionOutcome out;
    out.error = Error{Code::kUnsupported, 0, "no cgroup v2 hierarchy"};
    return out;
  };
  Rig best(with_policy("best-effort"));
  best.fault = unsupported;
  best.settle();
  CHECK(best.status().phase == Phase::kRunning);
  CHECK(best.condition(kCondition).message == "no cgroup v2 hierarchy");
  CHECK_FALSE(best.last.wake_at);
  Rig required(with_policy("required"));
  required.fault = unsupported;
  required.settle();
  CHECK(required.count("run sandbox") == 0);
  CHECK(required.last.wake_at);
}

TEST_CASE("policy off attaches nothing; the node's default holds without annotation; a typing error is required") {
  Rig off(with_policy("off"));
  off.settle();
  CHECK(off.count("attach") == 0);
  CHECK(off.status().phase == Phase::kRunning);
  CHECK(off.condition(kCondition).reason == "Off");

  Rig node_default;
  node_default.facts.ebpf_default = EbpfPolicy::kRequired;
  node_default.hooks_refused = true;
  node_default.settle();
  CHECK(node_default.count("run sandbox") == 0);

  Rig typo(with_policy("requird"));
  typo.hooks_refused = true;
  typo.settle();
  CHECK(typo.count("run sandbox") == 0);
}

TEST_CASE("adoption: programs are taken over before volumes, no container is touched") {
  Rig rig(with_policy("required"));
  rig.settle();
  const auto before = rig.status();
  rig.advance(1h);
  rig.restart_agent();
  rig.log.clear();
  rig.decide();
  CHECK(rig.status() == before);
  rig.settle();
  CHECK(rig.log == std::vector<std::string>{"make the pod's cgroup", "attach eBPF programs", "mount volumes"});
  CHECK(rig.status() == before);  // transition times, startTime, ids: all of it
}

TEST_CASE("adoption: required programs that are refused then make the pod unready, and stop nothing") {
  Rig rig(with_policy("required"));
  rig.settle();
  rig.restart_agent();
  rig.hooks_refused = true;
  rig.settle();
  CHECK(rig.find("web")->state == model::RunState::kRunning);
  CHECK(rig.status().phase == Phase::kRunning);
  CHECK(rig.condition("Ready").status == model::ConditionStatus::kFalse);
  CHECK(rig.condition("Ready").reason == "ProgramsNotAttached");
  CHECK(rig.condition("ContainersReady").status == model::ConditionStatus::kTrue);
}

TEST_CASE("a cgroup that went away is made again before the programs are") {
  Rig rig;
  rig.settle();
  request_programs_check(rig.memory);
  bool gone = true;
  rig.log.clear();
  rig.fault = [&](const Action& a) -> std::optional<ActionOutcome> {
    if (!std::holds_alternative<AttachPrograms>(a) || !std::exchange(gone, false)) return std::nullopt;
    ActionOutcome out;
    out.error = Error{Code::kGone, 0, "the cgroup was removed"};
    return out;
  };
  rig.settle();
  while (rig.condition(kCondition).reason != "Attached") REQUIRE(rig.wake());
  CHECK(rig.log == std::vector<std::string>{"attach eBPF programs", "make the pod's cgroup", "attach eBPF programs"});
}

TEST_CASE("row 14.12: a pod that shows objects of the API has them looked at each 60 to 90 s, another one never") {
  model::Pod wanted = pod();
  const bool shows = GENERATE(true, false);
  if (shows)
    wanted.spec.volumes.push_back({"settings", model::ConfigMapVolume{.name = "c", .items = {}, .default_mode = {}, .optional = false}});
  else
    wanted.spec.volumes.push_back({"scratch", model::EmptyDirVolume{}});
  Rig rig(wanted);
  rig.settle();
  const Time mounted = rig.memory.volumes_mounted_at;
  rig.log.clear();
  rig.advance(59s);
  rig.settle();
  CHECK(rig.log.empty());
  rig.now = mounted + 90s;
  rig.settle();
  CHECK(rig.log == (shows ? std::vector<std::string>{"mount volumes"} : std::vector<std::string>{}));
  if (shows) CHECK(rig.wake());
}

TEST_CASE("a refresh that fails is told once, tried again, and holds nothing up") {
  model::Pod wanted = pod();
  wanted.spec.volumes.push_back({"settings", model::ConfigMapVolume{.name = "c", .items = {}, .default_mode = {}, .optional = false}});
  Rig rig(wanted);
  rig.settle();
  rig.events.clear();
  rig.fault = [&](const Action& a) -> std::optional<ActionOutcome> {
    if (!std::holds_alternative<MountVolumes>(a)) return std::nullopt;
    ActionOutcome out;
    out.error = Error{Code::kUnavailable, 0, "the API is down"};
    return out;
  };
  rig.advance(90s);
  rig.settle();
  rig.advance(1s);
  rig.settle();
  CHECK(std::ranges::count(rig.events, "FailedMount", &model::Event::reason) == 1);
  rig.exit("web", 0);
  rig.settle();
  rig.advance(10s);
  rig.settle();
  CHECK(rig.find("web")->state == model::RunState::kRunning);
  CHECK(rig.find("web")->attempt == 1);
  rig.fault = nullptr;
  rig.log.clear();
  rig.advance(60s);
  rig.settle();
  CHECK(rig.log == std::vector<std::string>{"mount volumes"});
}

TEST_CASE("volumes are refreshed on request and nothing else happens") {
  Rig rig;
  rig.settle();
  rig.log.clear();
  request_volume_refresh(rig.memory);
  rig.settle();
  CHECK(rig.log == std::vector<std::string>{"mount volumes"});
}

TEST_CASE("a pod without a plan waits, whatever its policy; one that has programs keeps them") {
  std::optional<Error> refusal = Error{Code::kUnavailable, 0, "policies are not known yet"};
  const auto no_plan = [&](const Action& a) -> std::optional<ActionOutcome> {
    if (!std::holds_alternative<AttachPrograms>(a) || !refusal) return std::nullopt;
    ActionOutcome out;
    out.error = refusal;
    out.reason = kProgramPlanRefused;
    return out;
  };
  Rig rig(with_policy("best-effort"));
  rig.fault = no_plan;
  rig.settle();
  for (int i = 0; i < 3; ++i) rig.wake();
  CHECK(rig.count("run sandbox") == 0);
  CHECK(rig.condition(kCondition).reason == "PlanRefused");
  CHECK(rig.last.explanation.starts_with("waits for the plan of its eBPF programs: policies are not known yet"));
  CHECK(rig.events.empty());  // what is not known yet usually is soon
  for (int i = 0; i < 3; ++i) rig.wake();
  CHECK(rig.was_told("Warning ProgramPlanRefused: No plan for its eBPF programs: policies are not known yet"));
  refusal.reset();
  rig.wake();
  CHECK(rig.status().phase == Phase::kRunning);
  CHECK(rig.condition(kCondition).reason == "Attached");

  // An annotation that can't be read, while it runs.
  refusal = Error{Code::kInvalid, 0, "annotation x: 'y' is not z"};
  request_programs_check(rig.memory);
  rig.settle();
  CHECK(rig.status().phase == Phase::kRunning);
  CHECK(rig.condition("Ready").status == model::ConditionStatus::kTrue);
  CHECK(rig.condition(kCondition).status == model::ConditionStatus::kTrue);
  CHECK(rig.condition(kCondition).message.find("'y' is not z") != std::string::npos);
  CHECK(rig.was_told("Warning ProgramPlanRefused: No plan for its eBPF programs: annotation x: 'y' is not z"));
  refusal.reset();
  request_programs_check(rig.memory);
  rig.settle();
  CHECK(rig.condition(kCondition).message.empty());
}

TEST_CASE("after a restart, programs that were attached stay told as such while there is no plan") {
  Rig rig(with_policy("required"));
  rig.settle();
  REQUIRE(rig.condition("Ready").status == model::ConditionStatus::kTrue);
  rig.restart_agent();
  rig.fault = [](const Action& a) -> std::optional<ActionOutcome> {
    if (!std::holds_alternative<AttachPrograms>(a)) return std::nullopt;
    ActionOutcome out;
    out.error = Error{Code::kUnavailable, 0, "policies are not known yet"};
    out.reason = kProgramPlanRefused;
    return out;
  };
  rig.settle();
  CHECK(rig.status().phase == Phase::kRunning);
  CHECK(rig.condition("Ready").status == model::ConditionStatus::kTrue);
  CHECK(rig.condition(kCondition).reason == "Attached");
}

TEST_CASE("after a restart without a plan a container is restarted below the programs that were attached, and a new pod waits") {
  const auto* policy = GENERATE("best-effort", "required");
  Rig rig(with_policy(policy));
  const auto no_plan = [](const Action& a) -> std::optional<ActionOutcome> {
    if (!std::holds_alternative<AttachPrograms>(a)) return std::nullopt;
    ActionOutcome out;
    out.error = Error{Code::kUnavailable, 0, "policies are not known yet"};
    out.reason = kProgramPlanRefused;
    return out;
  };
  SECTION("it had them") {
    rig.settle();
    REQUIRE(rig.condition(kCondition).reason == "Attached");
    rig.restart_agent();
    rig.fault = no_plan;
    rig.settle();
    const int starts = rig.count("start container");
    rig.exit("web", 1);
    for (int i = 0; i < 8; ++i) rig.wake();
    CHECK(rig.count("start container") > starts);
    CHECK(rig.status().phase == Phase::kRunning);
  }
  SECTION("its sandbox ended meanwhile, as all do with a reboot") {
    rig.settle();
    rig.restart_agent();
    rig.fault = no_plan;
    rig.runtime.sandboxes.front().state = model::SandboxState::kNotReady;
    for (auto& container : rig.runtime.containers) container.state = model::RunState::kExited;
    const int starts = rig.count("start container");
    for (int i = 0; i < 8; ++i) rig.wake();
    CHECK(rig.count("start container") == starts);
  }
  SECTION("it had none") {
    rig.fault = no_plan;
    rig.settle();
    rig.restart_agent();
    for (int i = 0; i < 8; ++i) rig.wake();
    CHECK(rig.count("run sandbox") == 0);
  }
}

TEST_CASE("an operator's required program that is refused holds a new pod, whatever the pod's policy, and says so") {
  const auto* policy = GENERATE("best-effort", "required");
  Rig rig(with_policy(policy));
  rig.programs = {program(true, model::HookState::kRefused)};
  rig.settle();
  for (int i = 0; i < 3; ++i) rig.wake();
  CHECK(rig.count("run sandbox") == 0);
  CHECK(rig.status().phase == Phase::kPending);
  CHECK(rig.condition(kCondition).status == model::ConditionStatus::kFalse);
  CHECK(rig.condition(kCondition).reason == "AttachRefused");
  CHECK(rig.condition(kCondition).message == "required program deny-telnet: the verifier refused");
  CHECK(rig.last.explanation.starts_with("waits for its required eBPF programs: required program deny-telnet: the verifier refused"));
  rig.programs = {program(true, model::HookState::kAttached)};
  rig.wake();
  CHECK(rig.status().phase == Phase::kRunning);
  CHECK(rig.condition(kCondition).reason == "Attached");
}

TEST_CASE("an operator's best-effort program that is refused lets the pod run, and is told") {
  const auto* policy = GENERATE("best-effort", "required");
  Rig rig(with_policy(policy));
  rig.programs = {program(false, model::HookState::kRefused)};
  rig.settle();
  CHECK(rig.status().phase == Phase::kRunning);
  CHECK(rig.condition("Ready").status == model::ConditionStatus::kTrue);
  CHECK(rig.condition(kCondition).reason == "Degraded");
  CHECK(rig.condition(kCondition).message == "best-effort program deny-telnet: the verifier refused");
  CHECK(
      rig.was_told("Warning FailedAttachPrograms: Failed to attach eBPF programs: best-effort program deny-telnet: the verifier refused"));
}

TEST_CASE("a required program that is refused does nothing to a pod that runs: not its readiness, not its restarts") {
  const auto* policy = GENERATE("best-effort", "required");
  Rig rig(with_policy(policy));
  rig.settle();
  REQUIRE(rig.condition("Ready").status == model::ConditionStatus::kTrue);
  rig.programs = {program(true, model::HookState::kRefused)};
  request_programs_check(rig.memory);
  rig.settle();
  CHECK(rig.condition("Ready").status == model::ConditionStatus::kTrue);
  CHECK(rig.status().phase == Phase::kRunning);
  CHECK(rig.condition(kCondition).reason == "AttachRefused");
  const int starts = rig.count("start container");
  rig.exit("web", 1);
  rig.settle();
  for (int i = 0; i < 4 && rig.count("start container") == starts; ++i) rig.wake();
  CHECK(rig.count("start container") == starts + 1);
}

TEST_CASE("a pod with required programs of operators is held where nothing can be attached at all") {
  Rig rig(with_policy("best-effort"));
  rig.fault = [](const Action& a) -> std::optional<ActionOutcome> {
    if (!std::holds_alternative<AttachPrograms>(a)) return std::nullopt;
    ActionOutcome out;
    out.error = Error{Code::kUnsupported, 0, "eBPF is unavailable"};
    model::ProgramPlan plan;
    plan.programs.push_back({.name = "deny-telnet", .required = true, .error = {}});
    out.reason = attach_failure(plan);
    return out;
  };
  rig.settle();
  for (int i = 0; i < 3; ++i) rig.wake();
  CHECK(rig.count("run sandbox") == 0);
  CHECK(rig.condition(kCondition).reason == "AttachRefused");
  CHECK(attach_failure({}).empty());
}
