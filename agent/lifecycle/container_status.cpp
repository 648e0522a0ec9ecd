// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/container_status.h"

#include <algorithm>

#include <fmt/format.h>

#include "lifecycle/container_status.h"
#include "lifecycle/instances.h"
#include "lifecycle/probes.h"
#include "lifecycle/restart.h"
#include "lifecycle/start.h"
#include "lifecycle/status.h"

namespace pintle::lifecycle {
namespace {

using model::ContainerStatus;
using model::ObservedContainer;
using model::RunState;
using model::StateRunning;
using model::StateTerminated;
using model::StateWaiting;

constexpr std::string_view kLost = "ContainerStatusUnknown";

std::string full_id(const Context& ctx, const ObservedContainer& instance) { return ctx.node.runtime_name + "://" + instance.id.value(); }

Time started_at(const Context& ctx, const ObservedContainer& instance) {
  if (instance.started_at != kNoTime) return instance.started_at;
  // Lists carry no start time; the published one is better than the time of creation.
  if (const auto* known = find_status(ctx.published(), instance.name);
      known != nullptr && bare_id(known->container_id) == instance.id.value())
    if (const auto* running = std::get_if<StateRunning>(&known->state)) return running->started_at;
  return instance.created_at;
}

StateTerminated terminated(const Context& ctx, const ObservedContainer& instance) {
  StateTerminated state;
  const auto left = ctx.memory.termination_messages.find(instance.id.value());
  std::string text = left == ctx.memory.termination_messages.end() ? std::string() : left->second;
  state.container_id = full_id(ctx, instance);
  if (left == ctx.memory.termination_messages.end() || !instance.detailed) {
    // After a restart of the agent, or seen in a list only: what was published of this instance is the fuller record.
    if (const auto* known = find_status(ctx.published(), instance.name)) {
      for (const auto* old : {&known->state, &known->last_state})
        if (const auto* end = std::get_if<StateTerminated>(old); end != nullptr && end->container_id == state.container_id) {
          if (!instance.detailed || !end->message.empty()) return *end;
        }
    }
  }
  state.exit_code = instance.exit_code;
  state.reason = !instance.reason.empty() ? instance.reason : (instance.exit_code == 0 ? "Completed" : "Error");
  state.message = join_messages(instance.message, text);
  state.started_at = instance.started_at;
  state.finished_at = instance.finished_at;
  return state;
}

// An instance that was published and is gone (row 6.12).
StateTerminated lost() {
  StateTerminated state;
  state.exit_code = 137;
  state.reason = std::string(kLost);
  state.message = "The container could not be located when the pod was deleted.  The container used to be Running";
  return state;
}

StateWaiting default_waiting(const Context& ctx) {
  return {ctx.pod.spec.init_containers.empty() ? "ContainerCreating" : "PodInitializing", ""};
}

// Why a container that is to be started does not run (rows 6.11, 10.1, 10.3).
std::optional<StateWaiting> waiting(Context& ctx, const model::Container& container, const ObservedContainer* exited) {
  const auto found = ctx.memory.containers.find(container.name);
  if (found == ctx.memory.containers.end()) {
    if (exited == nullptr) return std::nullopt;
  }
  static const ContainerMemory kBlank;
  const ContainerMemory& memory = found == ctx.memory.containers.end() ? kBlank : found->second;
  if (exited != nullptr) {
    if (const auto delay = restart_delay(memory, *exited, ctx.node.max_restart_backoff, ctx.now)) {
      ctx.wake(delay->until);
      return StateWaiting{"CrashLoopBackOff", crash_loop_message(ctx, container.name, delay->delay)};
    }
  }
  if (memory.image_wait && !memory.image) {
    if (is_pull_failure(memory.waiting_reason) && image_backoff_shown(*memory.image_wait, ctx.now))
      return StateWaiting{"ImagePullBackOff", fmt::format("Back-off pulling image \"{}\": {}: {}", container.image, memory.waiting_reason,
                                                          memory.waiting_message)};
  }
  if (!memory.waiting_reason.empty()) return StateWaiting{memory.waiting_reason, memory.waiting_message};
  return std::nullopt;
}

void fill_static(Context& ctx, const model::Container& container, ContainerStatus& status) {
  (void)ctx;
  status.name = container.name;
  status.image = container.image;
  status.volume_mounts.reserve(container.volume_mounts.size());
  for (const auto& mount : container.volume_mounts) {
    model::VolumeMount shown;
    shown.name = mount.name;
    shown.mount_path = mount.mount_path;
    shown.read_only = mount.read_only;
    if (mount.read_only) shown.recursive_read_only = mount.recursive_read_only.empty() ? "Disabled" : mount.recursive_read_only;
    status.volume_mounts.push_back(std::move(shown));
  }
}

void fill_from_instance(Context& ctx, const model::Container& container, const ObservedContainer& instance, ContainerStatus& status) {
  status.container_id = full_id(ctx, instance);
  if (!instance.image.empty()) status.image = instance.image;
  status.image_id = instance.image_ref;
  status.restart_count = static_cast<int32_t>(instance.attempt);
  status.resources = container.resources;
  status.allocated_resources = container.resources.requests;
  switch (instance.state) {
    case RunState::kCreated: status.state = default_waiting(ctx); break;
    case RunState::kRunning: status.state = StateRunning{started_at(ctx, instance)}; break;
    case RunState::kExited: status.state = terminated(ctx, instance); break;
    case RunState::kUnknown: {
      auto state = lost();
      state.container_id = status.container_id;
      state.started_at = instance.started_at;
      status.state = std::move(state);
      break;
    }
  }
  if (const auto* previous = previous_instance(ctx.observed, instance)) {
    if (previous->state == RunState::kExited) status.last_state = terminated(ctx, *previous);
  } else if (const auto* known = find_status(ctx.published(), container.name)) {
    // The record of the one before may have been removed; what was published of it stays.
    if (known->container_id == status.container_id && status.restart_count > 0) status.last_state = known->last_state;
    // One published as lost, before this one was made.
    else if (const auto* end = std::get_if<StateTerminated>(&known->last_state); end != nullptr && end->reason == kLost)
      status.last_state = known->last_state;
  }
}

void fill_without_instance(Context& ctx, const model::Container& container, ContainerStatus& status) {
  status.state = default_waiting(ctx);
  const auto* known = find_status(ctx.published(), container.name);
  if (known == nullptr) return;
  status.restart_count = known->restart_count;
  status.last_state = known->last_state;
  if (known->container_id.empty()) return;
  // It ran once and its record is gone.
  const bool never_again = ctx.deleted() || is_terminal(ctx.published().phase);
  if (std::holds_alternative<StateTerminated>(known->state)) {
    const auto& end = std::get<StateTerminated>(known->state);
    if (never_again || !wants_restart(effective_policy(ctx.pod.spec, container), end.exit_code)) {
      status = *known;
      return;
    }
    status.last_state = known->state;
  } else if (std::holds_alternative<StateRunning>(known->state)) {
    status.last_state = lost();
  }
  status.restart_count = known->restart_count + 1;
}

}  // namespace

std::string crash_loop_message(const Context& ctx, const std::string& container, Duration delay) {
  return fmt::format("back-off {} restarting failed container={} pod={}", format_duration(delay), container, ctx.pod_text());
}

ContainerStatus container_status(Context& ctx, const model::Container& container, ContainerKind kind) {
  ContainerStatus status;
  fill_static(ctx, container, status);
  const ObservedContainer* instance = newest_instance(ctx.observed, container.name);
  // Records are removed one by one: what is left may be older than what was published, which then stays.
  if (const auto* known = find_status(ctx.published(), container.name); instance != nullptr && instance->state == RunState::kExited &&
                                                                        known != nullptr &&
                                                                        known->restart_count > static_cast<int32_t>(instance->attempt))
    instance = nullptr;
  if (instance != nullptr)
    fill_from_instance(ctx, container, *instance, status);
  else
    fill_without_instance(ctx, container, status);

  const bool to_be_started = ctx.memory.stage == PodStage::kActive && will_be_started(ctx, container, kind, instance);
  if (to_be_started) {
    const auto* exited = instance != nullptr && instance->state == RunState::kExited ? instance : nullptr;
    if (auto why = waiting(ctx, container, exited)) {
      if (std::holds_alternative<StateTerminated>(status.state)) status.last_state = std::move(status.state);
      status.state = std::move(*why);
    }
  }
  const bool running = std::holds_alternative<StateRunning>(status.state) && instance != nullptr;
  const bool init = kind == ContainerKind::kInit && !is_sidecar(container);
  const auto memory = ctx.memory.containers.find(container.name);
  // "Started" includes a finished postStart (row 9.6).
  const bool post_start_runs = running && memory != ctx.memory.containers.end() && memory->second.starting == instance->attempt;
  if (kind == ContainerKind::kEphemeral) return status;
  if (init) {
    const auto* end = std::get_if<StateTerminated>(&status.state);
    status.ready = end != nullptr && end->exit_code == 0;
    status.started = running;
    return status;
  }
  status.started = running && !post_start_runs && startup_passed(ctx.memory, container, instance->id);
  status.ready = *status.started && readiness_passed(ctx.memory, container, instance->id);
  return status;
}

void fill_container_statuses(Context& ctx, model::PodStatus& status) {
  const auto& spec = ctx.pod.spec;
  status.init_container_statuses.reserve(spec.init_containers.size());
  status.container_statuses.reserve(spec.containers.size());
  for (const auto& container : spec.init_containers)
    status.init_container_statuses.push_back(container_status(ctx, container, ContainerKind::kInit));
  for (const auto& container : spec.containers)
    status.container_statuses.push_back(container_status(ctx, container, ContainerKind::kRegular));
  for (const auto& container : spec.ephemeral_containers)
    status.ephemeral_container_statuses.push_back(container_status(ctx, container, ContainerKind::kEphemeral));
  const auto by_name = [](const ContainerStatus& a, const ContainerStatus& b) { return a.name < b.name; };
  std::sort(status.container_statuses.begin(), status.container_statuses.end(), by_name);
  std::sort(status.ephemeral_container_statuses.begin(), status.ephemeral_container_statuses.end(), by_name);
}

}  // namespace pintle::lifecycle
