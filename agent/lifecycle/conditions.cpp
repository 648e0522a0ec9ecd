// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "lifecycle/instances.h"
#include "lifecycle/programs.h"
#include "lifecycle/start.h"
#include "lifecycle/status.h"

namespace pintle::lifecycle {
namespace {

using model::Condition;
using model::ConditionStatus;
using model::ContainerStatus;
using model::Phase;
using model::PodStatus;
using model::StateRunning;
using model::StateTerminated;
using model::StateWaiting;

struct Verdict {
  bool ok = true;
  std::string reason, message;
};

// Row 6.8: the time moves with the status alone.
void add(Context& ctx, PodStatus& status, std::string_view type, Verdict verdict) {
  Condition condition;
  condition.type = std::string(type);
  condition.status = verdict.ok ? ConditionStatus::kTrue : ConditionStatus::kFalse;
  condition.reason = std::move(verdict.reason);
  condition.message = std::move(verdict.message);
  condition.observed_generation = ctx.pod.metadata.generation;
  const auto* known = find_condition(ctx.published(), type);
  condition.last_transition_time = known != nullptr && known->status == condition.status && known->last_transition_time
                                       ? known->last_transition_time
                                       : std::optional<Time>(ctx.now);
  status.conditions.push_back(std::move(condition));
}

// The names are joined with blanks, as Go prints a list.
std::string listed(const char* text, const std::vector<std::string>& names) { return fmt::format("{}: [{}]", text, fmt::join(names, " ")); }

bool any_regular_ever_started(const PodStatus& status) {
  for (const auto& c : status.container_statuses)
    if (std::holds_alternative<StateRunning>(c.state) || std::holds_alternative<StateTerminated>(c.state) ||
        std::holds_alternative<StateTerminated>(c.last_state))
      return true;
  return false;
}

Verdict initialized(const Context& ctx, const PodStatus& status, Phase phase) {
  if (ctx.pod.spec.init_containers.empty() && phase != Phase::kSucceeded) return {};
  if (phase == Phase::kSucceeded) return {true, "PodCompleted", ""};
  if (any_regular_ever_started(status)) return {};
  std::vector<std::string> incomplete;
  for (size_t i = 0; i < ctx.pod.spec.init_containers.size(); ++i) {
    const auto& shown = status.init_container_statuses[i];
    const bool done = is_sidecar(ctx.pod.spec.init_containers[i]) ? shown.started.value_or(false) : shown.ready;
    if (!done) incomplete.push_back(shown.name);
  }
  if (incomplete.empty()) return {};
  return {false, "ContainersNotInitialized", listed("containers with incomplete status", incomplete)};
}

Verdict containers_ready(const Context& ctx, const PodStatus& status, Phase phase) {
  if (phase == Phase::kSucceeded) return {false, "PodCompleted", ""};
  if (phase == Phase::kFailed) return {false, "PodFailed", ""};
  std::vector<std::string> unready;
  for (const auto& c : ctx.pod.spec.init_containers)
    if (is_sidecar(c))
      if (const auto* shown = find_status(status.init_container_statuses, c.name); shown != nullptr && !shown->ready)
        unready.push_back(c.name);
  for (const auto& c : ctx.pod.spec.containers)
    if (const auto* shown = find_status(status.container_statuses, c.name); shown != nullptr && !shown->ready) unready.push_back(c.name);
  if (unready.empty()) return {};
  return {false, "ContainersNotReady", listed("containers with unready status", unready)};
}

Verdict ready(const Context& ctx, const Verdict& containers) {
  if (!containers.ok) return containers;
  std::vector<std::string> missing;
  for (const auto& gate : ctx.pod.spec.readiness_gates) {
    const auto* condition = find_condition(ctx.pod.status, gate);
    if (condition == nullptr)
      missing.push_back(fmt::format("corresponding condition of pod readiness gate \"{}\" does not exist.", gate));
    else if (condition->status != ConditionStatus::kTrue)
      missing.push_back(fmt::format("the status of pod readiness gate \"{}\" is not \"True\", but {}", gate, to_string(condition->status)));
  }
  if (!missing.empty()) return {false, "ReadinessGatesNotReady", fmt::format("{}", fmt::join(missing, ", "))};
  if (programs_withhold(ctx))
    return {false, "ProgramsNotAttached", "the pod's eBPF programs are required and not effective: " + programs_reason(ctx)};
  return {};
}

bool sandbox_ready(const Context& ctx) {
  const auto* sandbox = newest_sandbox(ctx.observed);
  if (sandbox == nullptr || sandbox->state != model::SandboxState::kReady) return false;
  return ctx.pod.spec.host_network || !sandbox_ips(ctx).empty();
}

bool owned(std::string_view type) {
  return type == "PodReadyToStartContainers" || type == "Initialized" || type == "Ready" || type == "ContainersReady" ||
         type == "PodScheduled" || type == kProgramsCondition;
}

bool restartable(const model::PodSpec& spec, const model::Container& c, const StateTerminated& end) {
  const auto policy = effective_policy(spec, c);
  return policy == model::RestartPolicy::kAlways || (policy == model::RestartPolicy::kOnFailure && end.exit_code != 0);
}

const StateTerminated* end_of(const ContainerStatus& status) {
  if (const auto* end = std::get_if<StateTerminated>(&status.state)) return end;
  return std::holds_alternative<StateWaiting>(status.state) ? std::get_if<StateTerminated>(&status.last_state) : nullptr;
}

bool stopped_for_restart(const PodMemory& memory, const std::string& name, const StateTerminated& end) {
  const auto found = memory.containers.find(name);
  return found != memory.containers.end() && found->second.kill_restarts && found->second.kill_id.value() == bare_id(end.container_id);
}

struct InitTally {
  bool pending = false, failed = false;
};

InitTally tally_init(const model::PodSpec& spec, const PodStatus& status) {
  InitTally tally;
  for (const auto& c : spec.init_containers) {
    const auto* shown = find_status(status.init_container_statuses, c.name);
    if (shown == nullptr) {
      tally.pending = true;
      continue;
    }
    const auto* end = end_of(*shown);
    if (is_sidecar(c)) {
      const bool running = std::holds_alternative<StateRunning>(shown->state);
      if ((running && !shown->started.value_or(false)) || (!running && end == nullptr)) tally.pending = true;
      continue;
    }
    if (end == nullptr)
      tally.pending = true;
    else if (end->exit_code != 0)
      (restartable(spec, c, *end) ? tally.pending : tally.failed) = true;
    else if (std::holds_alternative<StateWaiting>(shown->state))
      tally.pending = true;
  }
  return tally;
}

}  // namespace

Phase roll_up_phase(const model::Pod& pod, const PodStatus& status, bool ended, const PodMemory& memory) {
  const auto& spec = pod.spec;
  const InitTally init = tally_init(spec, status);
  int running = 0, waiting = 0, stopped = 0, succeeded = 0, restarts = 0;
  for (const auto& c : spec.containers) {
    const auto* shown = find_status(status.container_statuses, c.name);
    const auto* end = shown == nullptr ? nullptr : end_of(*shown);
    if (shown != nullptr && std::holds_alternative<StateRunning>(shown->state)) {
      ++running;
    } else if (end != nullptr) {
      ++stopped;
      if (end->exit_code == 0) ++succeeded;
      // One lost without a trace of how it ended is made anew (row 6.12).
      if (restartable(spec, c, *end) || end->container_id.empty() || stopped_for_restart(memory, c.name, *end)) ++restarts;
    } else {
      ++waiting;
    }
  }
  if (init.failed) return Phase::kFailed;
  // Row 9.5: an init container's record may be gone once regular ones ran.
  const bool begun = running + stopped > 0;
  if (init.pending && !begun) return Phase::kPending;
  if (waiting > 0) return Phase::kPending;
  if (running > 0) return Phase::kRunning;
  if (stopped == 0) return Phase::kPending;
  if (!ended && restarts > 0) return Phase::kRunning;
  return stopped == succeeded ? Phase::kSucceeded : Phase::kFailed;
}

void fill_conditions(Context& ctx, PodStatus& status) {
  const Phase phase = status.phase;
  status.conditions.reserve(7);
  add(ctx, status, "PodReadyToStartContainers", {sandbox_ready(ctx), "", ""});
  add(ctx, status, "Initialized", initialized(ctx, status, phase));
  const Verdict containers = containers_ready(ctx, status, phase);
  add(ctx, status, "Ready", ready(ctx, containers));
  add(ctx, status, "ContainersReady", containers);
  add(ctx, status, "PodScheduled", {});
  if (auto programs = programs_verdict(ctx)) add(ctx, status, kProgramsCondition, {programs->ok, programs->reason, programs->message});
  // Conditions of others are left as the API has them.
  for (const auto& condition : ctx.pod.status.conditions)
    if (!owned(condition.type)) status.conditions.push_back(condition);
}

void force_unready(Context& ctx, PodStatus& status, Phase phase) {
  for (auto& condition : status.conditions) {
    if (condition.type != "Ready" && condition.type != "ContainersReady") continue;
    if (condition.status != ConditionStatus::kFalse) {
      condition.status = ConditionStatus::kFalse;
      const auto* known = find_condition(ctx.published(), condition.type);
      condition.last_transition_time =
          known != nullptr && known->status == ConditionStatus::kFalse ? known->last_transition_time : std::optional<Time>(ctx.now);
    }
    condition.reason = phase == Phase::kSucceeded ? "PodCompleted" : "PodFailed";
    condition.message.clear();
  }
}

}  // namespace pintle::lifecycle
