// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/companion.h"

#include <fmt/format.h>

#include "lifecycle/context.h"
#include "lifecycle/programs.h"

namespace pintle::lifecycle {
namespace {

constexpr Duration kLookAgain = std::chrono::seconds(1);  // whether an ended pod's cgroup is empty: the kernel gives no cheap notice

void plan_find(Context& ctx) {
  ctx.memory.cgroup_known = true;  // as of now: a hint while it is looked for asks for another look
  ctx.memory.cgroup_looked_at = ctx.now;
  ctx.plan(FindCgroup{}, PlanKind::kSync);
  ctx.explain("looking for the pod's cgroup");
}

void plan_detach(Context& ctx, std::string why) {
  ctx.plan(DetachPrograms{}, PlanKind::kCleanup);
  ctx.explain(std::move(why));
}

void end(Context& ctx) {
  PodMemory& memory = ctx.memory;
  if (memory.cgroup && memory.cgroup_populated) {
    const Time next = memory.cgroup_looked_at + kLookAgain;
    if (ctx.now >= next) return plan_find(ctx);
    ctx.wake(next);
    return ctx.explain("it has ended, and processes of it still run: its programs stay");
  }
  if (!memory.detached) return plan_detach(ctx, "it has ended: detaching eBPF programs");
  memory.stage = PodStage::kFinished;
  ctx.out.finished = ctx.view.removed;
  ctx.explain("finished");
}

void keep_in_force(Context& ctx) {
  PodMemory& memory = ctx.memory;
  if (ebpf_policy(ctx.pod, ctx.node) == model::EbpfPolicy::kOff) {
    if (!memory.programs) return ctx.explain("eBPF is switched off for this pod");
    memory.programs.reset();
    memory.programs_tried = false;
    return plan_detach(ctx, "eBPF is switched off for this pod: detaching");
  }
  if (!memory.cgroup) return ctx.explain("waiting for the kubelet to make the pod's cgroup");
  memory.detached = false;
  if (plan_programs(ctx)) return;
  ctx.explain(programs_effective(memory) ? "its programs are in force" : programs_reason(ctx));
}

}  // namespace

Decision decide_companion(const PodView& view, Time now) {
  static const model::ObservedPod kNothing;
  Decision out;
  out.memory = *view.memory;
  Context ctx{view, *view.desired, *view.node, kNothing, out.memory, out, now};
  out.status = view.desired->status;
  if (out.memory.stage == PodStage::kNew) out.memory.stage = PodStage::kActive;
  if (!view.plan_running && !step_waits(ctx)) {
    out.memory.plan = PlanKind::kNone;
    if (!out.memory.cgroup_known)
      plan_find(ctx);
    else if (view.removed || model::is_terminal(view.desired->status.phase))
      end(ctx);
    else
      keep_in_force(ctx);
  }
  drain_events(ctx);
  if (view.plan_running) ctx.explain(out.memory.doing);
  if (!out.plan.empty()) out.memory.doing = out.explanation;
  return out;
}

void record_found(PodMemory& memory, const ActionOutcome& outcome) {
  const auto* found = std::get_if<CgroupReady>(&outcome.value);
  if (found == nullptr) {
    memory.cgroup.reset();
    memory.cgroup_path.clear();
    memory.programs.reset();
    memory.programs_tried = false;
    memory.programs_error.clear();
    memory.programs_notes.clear();
    return;
  }
  if (memory.programs && memory.programs->cgroup_id != found->id) memory.programs_check = true;
  memory.cgroup = found->id;
  memory.cgroup_path = found->path;
  memory.cgroup_populated = found->populated;
}

}  // namespace pintle::lifecycle
