// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/cleanup.h"

#include <fmt/format.h>

namespace pintle::lifecycle {
namespace {

bool plan_sandbox_stops(Context& ctx) {
  for (const auto& sandbox : ctx.observed.sandboxes)
    if (sandbox.state == model::SandboxState::kReady) ctx.plan(StopSandbox{sandbox.id}, PlanKind::kCleanup);
  if (!ctx.out.plan.empty()) ctx.explain("stopping the sandbox");
  return !ctx.out.plan.empty();
}

bool plan_record_removal(Context& ctx) {
  for (const auto& container : ctx.observed.containers) ctx.plan(RemoveContainer{container.id}, PlanKind::kCleanup);
  if (ctx.out.plan.empty())
    for (const auto& sandbox : ctx.observed.sandboxes) ctx.plan(RemoveSandbox{sandbox.id}, PlanKind::kCleanup);
  if (!ctx.out.plan.empty()) ctx.explain("removing the runtime's records");
  return !ctx.out.plan.empty();
}

}  // namespace

bool plan_cleanup(Context& ctx) {
  PodMemory& memory = ctx.memory;
  if (const auto& wait = memory.step_wait; wait && ctx.now < wait->until) {
    ctx.wake(wait->until);
    ctx.explain(fmt::format("{}: {}; tried again in {}", memory.step_reason, memory.step_message, format_duration(wait->until - ctx.now)));
    return true;
  }
  if (plan_sandbox_stops(ctx)) return true;
  if (!memory.unmounted) {
    ctx.plan(UnmountVolumes{}, PlanKind::kCleanup);
    ctx.explain("unmounting volumes");
    return true;
  }
  if (!memory.detached) {
    ctx.plan(DetachPrograms{}, PlanKind::kCleanup);
    ctx.explain("detaching eBPF programs");
    return true;
  }
  if (!memory.cgroup_removed) {
    ctx.plan(RemoveCgroup{}, PlanKind::kCleanup);
    ctx.explain("removing the pod's cgroup");
    return true;
  }
  if (!ctx.deleted()) return false;
  if (plan_record_removal(ctx)) return true;
  if (memory.files_removed) return false;
  ctx.plan(RemoveFiles{}, PlanKind::kCleanup);
  ctx.explain("removing the pod's logs and directory");
  return true;
}

}  // namespace pintle::lifecycle
