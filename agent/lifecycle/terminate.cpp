// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/terminate.h"

#include <algorithm>

#include <fmt/format.h>

#include "lifecycle/container_hash.h"
#include "lifecycle/instances.h"
#include "lifecycle/probes.h"

namespace pintle::lifecycle {
namespace {

using model::ObservedContainer;
using std::chrono::seconds;

StopContainer make_stop(Context& ctx, const ObservedContainer& instance, seconds grace, std::string message) {
  ContainerMemory& memory = ctx.memory.containers[instance.name];
  if (message.empty()) message = "Stopping container " + instance.name;
  if (memory.killing_told_of != instance.id) {
    memory.killing_told_of = instance.id;
    ctx.tell(model::EventType::kNormal, "Killing", message, instance.name);
  }
  // A stop that is repeated (shorter grace, failure) does not run the hook again.
  const bool pre_stop = memory.pre_stop_of != instance.id && instance.state == model::RunState::kRunning;
  memory.pre_stop_of = instance.id;
  return {instance.id, instance.name, grace, pre_stop, std::move(message)};
}

// Row 12.16 for a probe that failed, else the pod's.
seconds grace_of_kill(const Context& ctx, const model::Container& container) {
  for (const ProbeKind kind : {ProbeKind::kLiveness, ProbeKind::kStartup}) {
    const auto* probe = probe_of(container, kind);
    const auto memory = ctx.memory.probes.find(probe_key(kind, container.name));
    if (probe == nullptr || memory == ctx.memory.probes.end() || !memory->second.known || memory->second.healthy) continue;
    if (probe->termination_grace_period_seconds) return seconds(std::max<int64_t>(*probe->termination_grace_period_seconds, 1));
  }
  return seconds(std::max<int64_t>(ctx.pod.spec.termination_grace_period_seconds, 1));
}

void mark_changed(Context& ctx, const model::Container& container, const ObservedContainer& instance) {
  static const std::string key(model::kAnnotationHash);
  const auto hash = instance.annotations.find(key);
  if (hash == instance.annotations.end() || hash->second == container_hash(container)) return;
  ContainerMemory& memory = ctx.memory.containers[container.name];
  if (memory.kill_id == instance.id) return;
  memory.kill_id = instance.id;
  memory.kill_message = fmt::format("Container {} definition changed, will be restarted", container.name);
  memory.kill_restarts = true;
}

seconds remaining_grace(const Context& ctx) {
  const Duration left = ctx.memory.stop_deadline.value_or(ctx.now) - ctx.now;
  return std::max(std::chrono::ceil<seconds>(left), seconds(1));
}

const model::Container* sidecar_named(const model::PodSpec& spec, const std::string& name) {
  for (const auto& c : spec.init_containers)
    if (c.name == name && is_sidecar(c)) return &c;
  return nullptr;
}

}  // namespace

int64_t asked_grace(const model::Pod& pod) {
  const int64_t grace = pod.metadata.deletion_grace_period_seconds.value_or(pod.spec.termination_grace_period_seconds);
  return std::max<int64_t>(grace, 1);
}

void begin_termination(Context& ctx, std::optional<model::Phase> phase, std::string reason, std::string message) {
  if (ctx.memory.stage >= PodStage::kTerminating) return;
  ctx.memory.stage = PodStage::kTerminating;
  ctx.memory.terminating_since = ctx.now;
  ctx.memory.end_phase = phase;
  ctx.memory.end_reason = std::move(reason);
  ctx.memory.end_message = std::move(message);
  ctx.memory.step_wait.reset();
}

void check_end(Context& ctx) {
  if (ctx.memory.stage >= PodStage::kTerminating) return;
  if (ctx.deleted()) return begin_termination(ctx, std::nullopt);
  if (!ctx.pod.spec.active_deadline_seconds || !ctx.memory.start_time) return;
  const Time deadline = *ctx.memory.start_time + seconds(*ctx.pod.spec.active_deadline_seconds);
  if (ctx.now < deadline) return ctx.wake(deadline);
  const std::string message = "Pod was active on the node longer than the specified deadline";
  ctx.tell(model::EventType::kNormal, "DeadlineExceeded", message);
  begin_termination(ctx, model::Phase::kFailed, "DeadlineExceeded", message);
}

void follow_grace(Context& ctx) {
  PodMemory& memory = ctx.memory;
  const int64_t asked = asked_grace(ctx.pod);
  if (!memory.grace_seconds || asked < *memory.grace_seconds) {
    memory.grace_seconds = asked;
    const Time deadline = ctx.now + seconds(asked);
    memory.stop_deadline = memory.stop_deadline ? std::min(*memory.stop_deadline, deadline) : deadline;
  }
  if (!ctx.view.plan_running || memory.cancel_sent) return;
  const bool too_long = memory.plan == PlanKind::kStop && memory.planned_grace && *memory.grace_seconds < *memory.planned_grace;
  if (memory.plan == PlanKind::kSync || too_long) ctx.out.cancel_running = memory.cancel_sent = true;
}

bool plan_termination(Context& ctx) {
  if (!may_have_running_containers(ctx.observed)) return false;
  if (ctx.memory.stop_deadline) ctx.wake(*ctx.memory.stop_deadline);
  if (const auto& wait = ctx.memory.step_wait; wait && ctx.now < wait->until) {
    ctx.wake(wait->until);
    ctx.explain(fmt::format("a container could not be stopped: {}; tried again in {}", ctx.memory.step_message,
                            format_duration(wait->until - ctx.now)));
    return true;
  }
  ctx.memory.planned_grace = ctx.memory.grace_seconds;
  const auto grace = remaining_grace(ctx);
  for (const auto& c : ctx.observed.containers)
    if (may_run(c) && sidecar_named(ctx.pod.spec, c.name) == nullptr) ctx.plan(make_stop(ctx, c, grace, {}), PlanKind::kStop);
  if (!ctx.out.plan.empty()) {
    ctx.explain(fmt::format("stopping containers (grace {}s)", grace.count()));
    return true;
  }
  const auto& inits = ctx.pod.spec.init_containers;
  for (auto it = inits.rbegin(); it != inits.rend(); ++it) {
    if (!is_sidecar(*it)) continue;
    for (const auto& c : ctx.observed.containers)
      if (c.name == it->name && may_run(c)) ctx.plan(make_stop(ctx, c, grace, {}), PlanKind::kStop);
    if (!ctx.out.plan.empty()) break;
  }
  ctx.explain("stopping sidecars");
  return true;
}

bool plan_unwanted_stops(Context& ctx) {
  for (const auto* list : {&ctx.pod.spec.init_containers, &ctx.pod.spec.containers})
    for (const auto& container : *list)
      for (const auto& instance : ctx.observed.containers) {
        if (instance.name != container.name || !may_run(instance)) continue;
        if (instance.state == model::RunState::kRunning) mark_changed(ctx, container, instance);
        const auto memory = ctx.memory.containers.find(container.name);
        const bool marked = memory != ctx.memory.containers.end() && memory->second.kill_id == instance.id;
        if (!marked && instance.state != model::RunState::kUnknown) continue;
        ctx.plan(make_stop(ctx, instance, grace_of_kill(ctx, container), marked ? memory->second.kill_message : std::string()),
                 PlanKind::kSync);
        ctx.explain(fmt::format("stopping container '{}'", container.name));
      }
  return !ctx.out.plan.empty();
}

bool plan_stop_all(Context& ctx) {
  const auto grace = seconds(std::max<int64_t>(ctx.pod.spec.termination_grace_period_seconds, 1));
  for (const auto& c : ctx.observed.containers)
    if (may_run(c)) ctx.plan(make_stop(ctx, c, grace, {}), PlanKind::kSync);
  if (!ctx.out.plan.empty()) ctx.explain("stopping containers of the old sandbox");
  return !ctx.out.plan.empty();
}

}  // namespace pintle::lifecycle
