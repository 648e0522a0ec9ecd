// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/status.h"

#include <algorithm>

#include "lifecycle/instances.h"
#include "lifecycle/programs.h"
#include "lifecycle/start.h"
#include "model/defaults.h"

namespace pintle::lifecycle {
namespace {

using model::Phase;
using model::PodStatus;
using model::StateTerminated;

constexpr size_t kMessageBytes = 4096, kPodMessageBytes = 12288, kLogBytes = 2048, kLogLines = 80;

void fill_frame(Context& ctx, PodStatus& status) {
  status.observed_generation = ctx.pod.metadata.generation;
  if (!ctx.memory.qos) ctx.memory.qos = ctx.pod.status.qos_class ? *ctx.pod.status.qos_class : model::qos_class(ctx.pod.spec);
  status.qos_class = ctx.memory.qos;
  status.start_time = ctx.memory.start_time;
  status.host_ips = ctx.node.host_ips;
  if (!status.host_ips.empty()) status.host_ip = status.host_ips.front();
  status.pod_ips = pod_ips(ctx);
  // Row 4.7: addresses outlive the sandbox.
  if (status.pod_ips.empty()) status.pod_ips = ctx.published().pod_ips;
}

void commit(Context& ctx, PodStatus status) {
  if (!ctx.memory.last_status || *ctx.memory.last_status != status) ctx.memory.last_status = std::make_shared<const PodStatus>(status);
  ctx.out.status = std::move(status);
}

// Row 6.27. Init containers count only as far as there is evidence that a later one was begun.
void end_unknown(const Context& ctx, PodStatus& status) {
  const auto lost = [] {
    StateTerminated end;
    end.exit_code = 137;
    end.reason = "ContainerStatusUnknown";
    end.message = "The container could not be located when the pod was terminated";
    return end;
  };
  const auto ended = [](const model::ContainerStatus& c) { return std::holds_alternative<StateTerminated>(c.state); };
  const auto begun = [&](const model::ContainerStatus& c) { return ended(c) || !c.container_id.empty() || c.started.value_or(false); };
  bool initialized = true;
  for (size_t i = 0; i < status.init_container_statuses.size(); ++i) {
    const auto& c = status.init_container_statuses[i];
    if (!is_sidecar(ctx.pod.spec.init_containers[i]) && !c.ready) initialized = false;
  }
  if (std::any_of(status.container_statuses.begin(), status.container_statuses.end(), begun)) initialized = true;
  if (initialized)
    for (auto& c : status.container_statuses)
      if (!ended(c)) c.state = lost();
  bool later_begun = initialized;
  for (auto it = status.init_container_statuses.rbegin(); it != status.init_container_statuses.rend(); ++it) {
    if (begun(*it)) later_begun = true;
    if (later_begun && !ended(*it)) it->state = lost();
  }
  for (auto* list : {&status.init_container_statuses, &status.container_statuses, &status.ephemeral_container_statuses})
    for (auto& c : *list)
      if (!std::holds_alternative<model::StateRunning>(c.state) && ended(c)) c.started = false;
  for (auto& c : status.container_statuses) c.ready = false;
}

std::string tail(const std::string& text, size_t lines, size_t bytes) {
  size_t from = text.size(), seen = 0;
  while (from > 0 && text.size() - from < bytes) {
    if (text[from - 1] == '\n' && from != text.size() && ++seen == lines) break;
    --from;
  }
  return text.substr(from);
}

}  // namespace

PodStatus current_status(Context& ctx) {
  PodStatus status;
  fill_frame(ctx, status);
  fill_container_statuses(ctx, status);
  status.phase = roll_up_phase(ctx.pod, status, false, ctx.memory);
  status.reason = ctx.memory.end_reason;
  status.message = ctx.memory.end_message;
  fill_conditions(ctx, status);
  return status;
}

void publish(Context& ctx, PodStatus status) {
  const PodStatus& before = ctx.published();
  const Phase ending = is_terminal(status.phase) ? status.phase : ctx.memory.end_phase.value_or(status.phase);
  if (is_terminal(ending)) {
    // Withheld until nothing can run: the phase stays what it was, but the pod is ready no more.
    force_unready(ctx, status, ending);
    status.phase = is_terminal(before.phase) || before.phase == Phase::kUnknown ? Phase::kRunning : before.phase;
    status.reason.clear();
    status.message.clear();
  }
  if (status.phase == Phase::kRunning && before.phase != Phase::kRunning && programs_withhold(ctx)) status.phase = Phase::kPending;
  // A pod that ran and is being stopped is not pending again.
  if (ctx.memory.stage != PodStage::kActive && before.phase == Phase::kRunning) status.phase = Phase::kRunning;
  commit(ctx, std::move(status));
}

void finalize(Context& ctx, PodStatus status) {
  end_unknown(ctx, status);
  const Phase rolled = roll_up_phase(ctx.pod, status, true, ctx.memory);
  const Phase phase = ctx.memory.end_phase ? *ctx.memory.end_phase : (rolled == Phase::kSucceeded ? Phase::kSucceeded : Phase::kFailed);
  status.phase = phase;
  status.reason = ctx.memory.end_reason;
  status.message = ctx.memory.end_message;
  status.conditions.clear();
  fill_conditions(ctx, status);
  force_unready(ctx, status, phase);
  ctx.memory.status_final = true;
  commit(ctx, std::move(status));
}

void keep_status(Context& ctx) {
  PodStatus status = ctx.published();
  if (!ctx.memory.last_status) {
    if (!status.qos_class) status.qos_class = model::qos_class(ctx.pod.spec);
    if (status.phase == Phase::kUnknown) status.phase = Phase::kPending;
  }
  status.observed_generation = ctx.pod.metadata.generation;
  for (auto& condition : status.conditions)
    if (condition.type != "DisruptionTarget") condition.observed_generation = ctx.pod.metadata.generation;
  if (ctx.memory.last_status) return commit(ctx, std::move(status));
  ctx.out.status = std::move(status);
}

std::string join_messages(const std::string& runtime_message, const std::string& left) {
  if (runtime_message.empty() || left.empty()) return runtime_message + left;
  return runtime_message + ": " + left;
}

std::string termination_message(const model::Container& container, int32_t exit_code, const TerminationSources& sources,
                                size_t containers_in_pod) {
  const size_t share = kPodMessageBytes / std::max<size_t>(containers_in_pod, 1);
  const bool fallback = container.termination_message_policy == model::MessagePolicy::kFallbackToLogsOnError;
  std::string text = sources.file.substr(0, kMessageBytes);
  if (text.empty() && fallback && exit_code != 0) text = tail(sources.log_tail, kLogLines, kLogBytes);
  return text.size() > share ? text.substr(0, share) : text;
}

}  // namespace pintle::lifecycle
