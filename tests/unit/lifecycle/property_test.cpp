// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Random histories of one pod: exits, failures, probe results, lost memory, lists without details, deletion. One seed is one
// history; a failure names it.
#include <catch2/catch_test_macros.hpp>
#include <random>

#include "unit/lifecycle/rig.h"

using namespace pintle;
using namespace pintle::lifecycle;
using namespace pintle::lifecycle::test;

namespace {

class History {
 public:
  explicit History(uint64_t seed) : random_(seed), rig_(make_pod()) {
    rig_.fault = [this](const Action& action) { return fault(action); };
  }

  void run(int steps) {
    for (int i = 0; i < steps; ++i) {
      disturb();
      decide();
      if (!rig_.running.empty() && chance(70)) {
        rig_.finish();
        decide();
      }
    }
    end();
  }

 private:
  bool chance(int percent) { return static_cast<int>(random_() % 100) < percent; }
  template <typename T>
  T one_of(std::initializer_list<T> list) {
    return *(list.begin() + static_cast<long>(random_() % list.size()));
  }

  model::Pod make_pod() {
    auto wanted = pod();
    wanted.spec.restart_policy = one_of({model::RestartPolicy::kAlways, model::RestartPolicy::kOnFailure, model::RestartPolicy::kNever});
    if (chance(50)) wanted.spec.containers.push_back(container("second"));
    if (chance(50)) wanted.spec.init_containers.push_back(container("init"));
    if (chance(50)) {
      auto side = container("side");
      side.restart_policy = model::RestartPolicy::kAlways;
      wanted.spec.init_containers.push_back(side);
    }
    for (auto& c : wanted.spec.containers) {
      model::Probe probe;
      probe.period_seconds = 1 + static_cast<int>(random_() % 5);
      if (chance(40)) c.readiness_probe = probe;
      if (chance(40)) c.liveness_probe = probe;
      if (chance(30)) c.startup_probe = probe;
    }
    if (chance(20)) wanted.spec.active_deadline_seconds = 200;
    policy_ = one_of({"required", "best-effort", "off"});
    wanted.metadata.annotations[std::string(model::kEbpfPolicyAnnotation)] = policy_;
    return wanted;
  }

  std::optional<ActionOutcome> fault(const Action& action) {
    const bool starts = std::holds_alternative<StartContainer>(action) || std::holds_alternative<RunSandbox>(action);
    // No container and no sandbox before its programs: in this run or in one before the last restart.
    if (starts && std::string(policy_) == "required") REQUIRE(effective_);
    if (starts && std::string(policy_) == "best-effort") REQUIRE(tried_);
    if (starts) REQUIRE_FALSE(deleted_at_plan_);
    if (const auto* start = std::get_if<StartContainer>(&action))
      for (const auto& c : rig_.runtime.containers) {
        const bool second = c.name == start->name && c.state == model::RunState::kRunning;
        REQUIRE_FALSE(second);  // never two of one
      }
    if (std::holds_alternative<AttachPrograms>(action)) {
      tried_ = true;
      rig_.hooks_refused = chance(30);
      effective_ = !rig_.hooks_refused;
      return std::nullopt;
    }
    if (calm_ || !chance(15)) return std::nullopt;
    ActionOutcome out;
    out.error = Error{one_of({Code::kUnavailable, Code::kInternal, Code::kCancelled}), 0, "a fault"};
    if (std::holds_alternative<EnsureImage>(action)) out.reason = "ErrImagePull";
    if (std::holds_alternative<StartContainer>(action)) out.reason = one_of({"CreateContainerError", "RunContainerError"});
    if (chance(50)) out.observed = rig_.runtime;
    return out;
  }

  void disturb() {
    rig_.advance(std::chrono::milliseconds(random_() % 4000));
    if (rig_.last.wake_at && chance(30)) rig_.now = std::max(rig_.now, *rig_.last.wake_at);
    for (const auto& run : rig_.last.probes)
      record(rig_.memory,
             ProbeDone{run, one_of({ProbeResult::kSuccess, ProbeResult::kSuccess, ProbeResult::kFailure, ProbeResult::kError}), "x"},
             rig_.desired, rig_.now);
    if (!rig_.runtime.containers.empty() && chance(10)) {
      auto& c = rig_.runtime.containers[random_() % rig_.runtime.containers.size()];
      if (c.state == model::RunState::kRunning) {
        c.state = model::RunState::kExited;
        c.exit_code = one_of({0, 0, 1, 137});
        c.finished_at = rig_.now;
        rig_.observed = rig_.runtime;
      }
    }
    if (!rig_.runtime.sandboxes.empty() && chance(2)) {
      rig_.runtime.sandboxes.front().state = model::SandboxState::kNotReady;
      rig_.observed = rig_.runtime;
    }
    if (chance(5)) {  // a list, without details
      rig_.observed = rig_.runtime;
      for (auto& c : rig_.observed->containers) c.detailed = false;
      for (auto& s : rig_.observed->sandboxes) s.ips.clear();
    }
    if (chance(4)) {
      rig_.restart_agent();
      tried_ = effective_ = false;
      stage_ = PodStage::kNew;
    }
    if (chance(3)) rig_.facts.runtime_ready = !rig_.facts.runtime_ready;
    if (chance(1)) delete_pod(20);
  }

  void delete_pod(int64_t grace) {
    rig_.desired.metadata.deletion_timestamp = rig_.now;
    rig_.desired.metadata.deletion_grace_period_seconds = grace;
  }

  void decide() {
    const bool busy = !rig_.running.empty();
    const auto before = rig_.last.status;
    rig_.decide();
    if (!busy) deleted_at_plan_ = rig_.desired.metadata.deletion_timestamp.has_value();
    if (busy) REQUIRE(rig_.last.plan.empty());
    if (!rig_.facts.runtime_ready) REQUIRE(rig_.last.plan.empty());
    REQUIRE(rig_.memory.stage >= (stage_ == PodStage::kFinished ? PodStage::kCleanup : stage_));  // records of a finished pod go later
    stage_ = rig_.memory.stage;
    if (is_terminal(before.phase)) {
      REQUIRE(rig_.last.status.phase == before.phase);
      REQUIRE(rig_.last.status.container_statuses == before.container_statuses);
    }
    if (is_terminal(rig_.last.status.phase) && !is_terminal(before.phase))
      for (const auto& c : rig_.runtime.containers) REQUIRE(c.state != model::RunState::kRunning);
    for (const auto& c : rig_.last.status.container_statuses)
      if (const auto* old = find(before, c.name)) REQUIRE(c.restart_count >= old->restart_count);
    if (before.start_time) REQUIRE(rig_.last.status.start_time == before.start_time);
    if (rig_.last.wake_at) REQUIRE(*rig_.last.wake_at > rig_.now);
    REQUIRE_FALSE(rig_.last.explanation.empty());
  }

  static const model::ContainerStatus* find(const model::PodStatus& status, const std::string& name) {
    for (const auto& c : status.container_statuses)
      if (c.name == name) return &c;
    return nullptr;
  }

  // Whatever happened: deleted in calm weather, every pod comes to its end.
  void end() {
    calm_ = true;
    rig_.facts.runtime_ready = true;
    if (!rig_.desired.metadata.deletion_timestamp) delete_pod(5);
    for (int i = 0; i < 100 && !(rig_.last.finished && rig_.runtime.sandboxes.empty()); ++i) {
      rig_.advance(11s);
      decide();
      while (!rig_.running.empty()) {
        rig_.finish();
        decide();
      }
    }
    REQUIRE(rig_.last.finished);
    REQUIRE(rig_.runtime.containers.empty());
    REQUIRE(rig_.runtime.sandboxes.empty());
    REQUIRE(is_terminal(rig_.last.status.phase));
  }

  std::mt19937_64 random_;
  const char* policy_ = "";
  Rig rig_;
  bool tried_ = false, effective_ = false, calm_ = false, deleted_at_plan_ = false;
  PodStage stage_ = PodStage::kNew;
};

}  // namespace

TEST_CASE("random histories keep every promise") {
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    CAPTURE(seed);
    History(seed).run(150);
  }
}

TEST_CASE("decide is pure: the same input gives the same decision") {
  Rig rig;
  for (int i = 0; i < 8; ++i) {
    const auto memory = rig.memory;
    rig.decide();
    const auto first = rig.last;
    PodView view;
    view.desired = &rig.desired;
    view.observed = &*rig.observed;
    view.memory = &memory;
    view.node = &rig.facts;
    view.requested_by_others = &rig.others;
    const auto second = lifecycle::decide(view, rig.now);
    CHECK(first.plan == second.plan);
    CHECK(first.status == second.status);
    CHECK(first.events == second.events);
    CHECK(first.wake_at == second.wake_at);
    rig.finish();
  }
}
