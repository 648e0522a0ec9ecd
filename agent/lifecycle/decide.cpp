// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/decide.h"

#include <fmt/format.h>

#include "lifecycle/admission.h"
#include "lifecycle/cleanup.h"
#include "lifecycle/companion.h"
#include "lifecycle/instances.h"
#include "lifecycle/probes.h"
#include "lifecycle/programs.h"
#include "lifecycle/start.h"
#include "lifecycle/status.h"
#include "lifecycle/terminate.h"
#include "model/defaults.h"

namespace pintle::lifecycle {
namespace {

using model::Phase;

// Times, exit codes and addresses come from a full read only.
bool needs_inspection(const Context& ctx) {
  if (ctx.view.observed == nullptr) return true;
  for (const auto& c : ctx.observed.containers) {
    if (c.detailed || c.state == model::RunState::kCreated) continue;
    if (c.state == model::RunState::kExited || c.started_at == kNoTime) return true;
  }
  const auto* sandbox = newest_sandbox(ctx.observed);
  if (sandbox == nullptr || sandbox->state != model::SandboxState::kReady || ctx.pod.spec.host_network) return false;
  return sandbox_ips(ctx).empty() && ctx.memory.inspected_sandbox != sandbox->id;
}

bool plan_inspection(Context& ctx) {
  if (ctx.memory.stage == PodStage::kFinished || !needs_inspection(ctx)) return false;
  if (const auto& wait = ctx.memory.step_wait; wait && ctx.now < wait->until) {
    ctx.wake(wait->until);
    ctx.explain(
        fmt::format("{}: {}; tried again in {}", ctx.memory.step_reason, ctx.memory.step_message, format_duration(wait->until - ctx.now)));
    return true;
  }
  ctx.plan(InspectPod{}, PlanKind::kSync);
  ctx.explain("reading the pod from the runtime");
  return true;
}

bool holds_anything(const model::ObservedPod& observed) {
  if (may_have_running_containers(observed)) return true;
  for (const auto& sandbox : observed.sandboxes)
    if (sandbox.state == model::SandboxState::kReady) return true;
  return false;
}

void reject(Context& ctx, Refusal refusal) {
  ctx.tell(model::EventType::kWarning, refusal.reason, refusal.message);
  ctx.memory.rejected_reason = std::move(refusal.reason);
  ctx.memory.rejected_message = "Pod was rejected: " + refusal.message;
  // Row 6.26.
  model::PodStatus status = ctx.pod.status;
  status.phase = Phase::kFailed;
  status.reason = ctx.memory.rejected_reason;
  status.message = ctx.memory.rejected_message;
  status.observed_generation = ctx.pod.metadata.generation;
  status.start_time = ctx.memory.start_time;
  if (!ctx.memory.qos) ctx.memory.qos = model::qos_class(ctx.pod.spec);
  status.qos_class = ctx.memory.qos;
  ctx.memory.last_status = std::make_shared<const model::PodStatus>(std::move(status));
  ctx.memory.status_final = true;
  ctx.memory.stage = PodStage::kCleanup;
}

// The first decision of this process on the pod.
void enter(Context& ctx) {
  PodMemory& memory = ctx.memory;
  const model::PodStatus& published = ctx.pod.status;
  memory.start_time = published.start_time ? published.start_time : std::optional<Time>(ctx.now);
  if (is_terminal(published.phase)) {  // rows 4.13, 6.10
    memory.last_status = std::make_shared<const model::PodStatus>(published);
    memory.status_final = true;
    memory.stage = holds_anything(ctx.observed) ? PodStage::kTerminating : PodStage::kCleanup;
    memory.terminating_since = ctx.now;
    return;
  }
  const bool known = published.start_time || !ctx.observed.sandboxes.empty() || !ctx.observed.containers.empty();
  if (!known && !ctx.deleted())
    if (auto refusal = admit(ctx.view)) return reject(ctx, std::move(*refusal));
  memory.stage = PodStage::kActive;
}

// Everything that needs the runtime. The status is decided first: a terminal phase ends the pod.
void run(Context& ctx) {
  PodMemory& memory = ctx.memory;
  if (memory.stage == PodStage::kNew) enter(ctx);
  check_end(ctx);
  if (memory.stage <= PodStage::kTerminating && !memory.status_final) sync_probes(ctx);

  if (memory.stage == PodStage::kActive) {
    model::PodStatus status = current_status(ctx);
    if (is_terminal(status.phase)) {
      begin_termination(ctx, status.phase);
    } else {
      if (!ctx.view.plan_running) plan_sync(ctx, status);
      schedule_probes(ctx, status);
      return publish(ctx, std::move(status));
    }
  }
  if (memory.stage == PodStage::kTerminating) {
    follow_grace(ctx);
    const bool stopping = ctx.view.plan_running ? true : plan_termination(ctx);
    if (stopping) {
      if (ctx.view.plan_running) ctx.explain("stopping");
      if (memory.status_final) return keep_status(ctx);
      model::PodStatus status = current_status(ctx);
      schedule_probes(ctx, status);
      return publish(ctx, std::move(status));
    }
    memory.stage = PodStage::kCleanup;
    memory.step_wait.reset();
    if (!memory.status_final) finalize(ctx, current_status(ctx));
  }
  keep_status(ctx);
  if (ctx.view.plan_running) return ctx.explain("releasing");
  if (plan_cleanup(ctx)) {
    memory.stage = PodStage::kCleanup;
    return;
  }
  memory.stage = PodStage::kFinished;
  ctx.out.finished = true;
  ctx.explain(fmt::format("finished: {}", to_string(ctx.out.status.phase)));
}

}  // namespace

bool step_waits(Context& ctx) {
  const auto& wait = ctx.memory.step_wait;
  if (!wait || ctx.now >= wait->until) return false;
  ctx.wake(wait->until);
  ctx.explain(
      fmt::format("{}: {}; tried again in {}", ctx.memory.step_reason, ctx.memory.step_message, format_duration(wait->until - ctx.now)));
  return true;
}

void drain_events(Context& ctx) {
  if (ctx.memory.events.empty()) return;
  const auto& meta = ctx.pod.metadata;
  const auto path_of = [&](const std::string& name) -> std::string {
    const auto& spec = ctx.pod.spec;
    const auto has = [&](const std::vector<model::Container>& list) {
      for (const auto& c : list)
        if (c.name == name) return true;
      return false;
    };
    if (name.empty()) return {};
    const char* list = has(spec.containers) ? "containers" : has(spec.init_containers) ? "initContainers" : "ephemeralContainers";
    return fmt::format("spec.{}{{{}}}", list, name);
  };
  ctx.out.events.reserve(ctx.memory.events.size());
  for (auto& pending : ctx.memory.events) {
    model::ObjectReference object{"v1", "Pod", meta.namespace_, meta.name, meta.uid, meta.resource_version, path_of(pending.container)};
    ctx.out.events.push_back({std::move(object), pending.type, std::move(pending.reason), std::move(pending.message), pending.time});
  }
  ctx.memory.events.clear();
}

Decision decide(const PodView& view, Time now) {
  if (!view.node->owns_pods) return decide_companion(view, now);
  static const model::ObservedPod kNothing;
  Decision out;
  out.memory = *view.memory;
  Context ctx{view, *view.desired, *view.node, view.observed == nullptr ? kNothing : *view.observed, out.memory, out, now};
  if (!view.plan_running) {
    out.memory.plan = PlanKind::kNone;
    out.memory.cancel_sent = false;
  }
  if (!view.node->runtime_ready) {
    ctx.explain("the container runtime is down: nothing is asked of it");
    keep_status(ctx);
  } else if (view.observed == nullptr && view.plan_running) {
    ctx.explain("reading the pod from the runtime");
    keep_status(ctx);
  } else if (!view.plan_running && plan_inspection(ctx)) {
    keep_status(ctx);
  } else {
    run(ctx);
  }
  drain_events(ctx);
  if (view.plan_running) ctx.explain(out.memory.doing);
  ctx.explain("nothing to do");
  if (!out.plan.empty()) out.memory.doing = out.explanation;
  return out;
}

}  // namespace pintle::lifecycle
