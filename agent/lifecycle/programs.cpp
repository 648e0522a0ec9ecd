// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/programs.h"

#include <algorithm>
#include <utility>

#include <fmt/format.h>

namespace pintle::lifecycle {
namespace {

using model::EbpfPolicy;

Duration doubled(Duration initial, Duration max, int failures) {
  return std::min(initial * (int64_t{1} << std::clamp(failures - 1, 0, 16)), max);
}

// For what holds nothing up.
Duration late_delay(int failures) { return doubled(std::chrono::seconds(10), std::chrono::seconds(300), failures); }

std::string refused_hooks(const model::AttachReport& report) {
  std::string text;
  for (const auto& hook : report.hooks) {
    if (in_force(hook.state)) continue;
    const std::string why = hook.error.empty() ? std::string(to_string(hook.state)) : hook.error;
    text += fmt::format("{}{}: {}", text.empty() ? "" : "; ", to_string(hook.hook), why);
  }
  for (const auto& program : report.programs) {
    if (in_force(program.state)) continue;
    const std::string why = program.error.empty() ? std::string(to_string(program.state)) : program.error;
    text += fmt::format("{}{} program {}: {}", text.empty() ? "" : "; ", program.required ? "required" : "best-effort", program.name, why);
  }
  return text;
}

// A required program of an operator keeps a pod from starting, and disturbs none that runs: neither its readiness nor its restarts.
bool has_begun(const Context& ctx) { return !ctx.observed.sandboxes.empty(); }

// Found attached by an earlier run, it stays so: pinned programs do not wait for plans, which may need an API that is down.
bool was_attached(const Context& ctx) {
  const auto* known = find_condition(ctx.published(), kProgramsCondition);
  return known != nullptr && known->status == model::ConditionStatus::kTrue;
}

// Its cgroup, on which an earlier run's links lie pinned, has been there since: after a reboot no sandbox is ready.
bool still_runs(const Context& ctx) {
  return std::ranges::any_of(ctx.observed.sandboxes,
                             [](const model::ObservedSandbox& sandbox) { return sandbox.state == model::SandboxState::kReady; });
}

// What the pod's own policy asks for is in force.
bool suffices(const PodMemory& memory, EbpfPolicy policy) {
  if (policy != EbpfPolicy::kRequired) return memory.programs_tried;
  return memory.programs && !memory.programs_hooks_lack;
}

}  // namespace

EbpfPolicy ebpf_policy(const model::Pod& pod, const NodeFacts& node) {
  static const std::string key(model::kEbpfPolicyAnnotation);
  const auto found = pod.metadata.annotations.find(key);
  if (found == pod.metadata.annotations.end()) return node.ebpf_default;
  return model::parse_ebpf_policy(found->second).value_or(EbpfPolicy::kRequired);
}

bool programs_effective(const PodMemory& memory) { return memory.programs && memory.programs_error.empty(); }

bool programs_hold_start(const Context& ctx) {
  const auto policy = ebpf_policy(ctx.pod, ctx.node);
  if (policy == EbpfPolicy::kOff) return false;
  const bool lacks_plan = !ctx.memory.programs_tried && !ctx.memory.programs_plan_error.empty();
  if (lacks_plan && still_runs(ctx) && was_attached(ctx)) return false;
  return !suffices(ctx.memory, policy) || (ctx.memory.programs_required_lack && !has_begun(ctx));
}

bool programs_withhold(const Context& ctx) {
  if (ebpf_policy(ctx.pod, ctx.node) != EbpfPolicy::kRequired || suffices(ctx.memory, EbpfPolicy::kRequired)) return false;
  if (ctx.memory.programs_tried) return true;
  const auto* known = find_condition(ctx.pod.status, kProgramsCondition);
  return known == nullptr || known->status != model::ConditionStatus::kTrue;
}

std::string programs_reason(const Context& ctx) {
  if (!programs_effective(ctx.memory) && !ctx.memory.programs_plan_error.empty()) return ctx.memory.programs_plan_error;
  if (!ctx.memory.programs_error.empty()) return ctx.memory.programs_error;
  return "not attached yet";
}

std::optional<ProgramsVerdict> programs_verdict(const Context& ctx) {
  const auto policy = ebpf_policy(ctx.pod, ctx.node);
  if (policy == EbpfPolicy::kOff) return ProgramsVerdict{false, "Off", "eBPF is switched off for this pod"};
  const std::string& no_plan = ctx.memory.programs_plan_error;
  if (programs_effective(ctx.memory))
    return ProgramsVerdict{
        true, "Attached",
        no_plan.empty() ? ctx.memory.programs_notes : "what was attached stays in force, a new plan was refused: " + no_plan};
  if (ctx.memory.programs_tried)
    return ProgramsVerdict{false, !suffices(ctx.memory, policy) || ctx.memory.programs_required_lack ? "AttachRefused" : "Degraded",
                           ctx.memory.programs_error};
  const auto* known = find_condition(ctx.published(), kProgramsCondition);
  if (!no_plan.empty() && !was_attached(ctx)) return ProgramsVerdict{false, "PlanRefused", no_plan};
  if (known != nullptr) return ProgramsVerdict{known->status == model::ConditionStatus::kTrue, known->reason, known->message};
  return std::nullopt;
}

bool plan_programs(Context& ctx) {
  PodMemory& memory = ctx.memory;
  const auto policy = ebpf_policy(ctx.pod, ctx.node);
  if (policy == EbpfPolicy::kOff) return false;
  const bool lacks_plan = !memory.programs_tried && !memory.programs_plan_error.empty();
  bool due = (!memory.programs_tried && !lacks_plan) || memory.programs_check;
  if (!due && programs_effective(memory) && !memory.programs_notes.empty()) {
    const Time until = memory.programs_failed_at + late_delay(memory.programs_failures);
    due = ctx.now >= until;
    if (!due) ctx.wake(until);
  } else if (!due && !programs_effective(memory)) {
    // What the kernel does not have will not come while we run; a pod that waits for it still tries, in case it was loaded.
    if (policy == EbpfPolicy::kBestEffort && memory.programs_unsupported && !memory.programs_required_lack) return false;
    const bool waits = programs_hold_start(ctx) || lacks_plan;
    const Duration delay = waits ? doubled(std::chrono::milliseconds(50), std::chrono::seconds(10), memory.programs_failures)
                                 : late_delay(memory.programs_failures);
    const Time until = memory.programs_failed_at + delay;
    if (ctx.now < until) {
      ctx.wake(until);
      if (lacks_plan)
        ctx.explain(fmt::format("waits for the plan of its eBPF programs: {}; tried again in {}", memory.programs_plan_error,
                                format_duration(until - ctx.now)));
      else if (waits)
        ctx.explain(fmt::format("waits for its required eBPF programs: {}; tried again in {}", memory.programs_error,
                                format_duration(until - ctx.now)));
      return false;
    }
    due = true;
  }
  if (!due) return false;
  memory.programs_check = false;  // now, not when it is done: a hint that comes meanwhile asks for another one
  ctx.plan(AttachPrograms{}, PlanKind::kSync);
  ctx.explain("attaching eBPF programs");
  return true;
}

namespace {

// Nothing was tried, so nothing of what is attached has changed.
void record_no_plan(PodMemory& memory, const Error& error, Time now) {
  constexpr int kPatience = 5;  // failures: what is not known yet usually is within the second
  const bool is_news = memory.programs_plan_error != error.message();
  memory.programs_plan_error = error.message().empty() ? std::string(to_string(error.code)) : error.message();
  ++memory.programs_failures;
  memory.programs_failed_at = now;
  if (error.code == Code::kInvalid ? is_news : memory.programs_failures == kPatience)
    memory.events.push_back(
        {"", model::EventType::kWarning, "ProgramPlanRefused", "No plan for its eBPF programs: " + memory.programs_plan_error, now});
}

// The hooks' state is none of their business: a pod whose hooks are in force is as it should be, but for this.
void record_notes(PodMemory& memory, const model::AttachReport& report, Time now) {
  const std::string before = std::exchange(memory.programs_notes, {});
  for (const auto& note : report.notes) memory.programs_notes += (memory.programs_notes.empty() ? "" : "; ") + note;
  if (!report.effective()) return;
  if (memory.programs_notes.empty()) {
    memory.programs_failures = 0;
    return;
  }
  ++memory.programs_failures;
  memory.programs_failed_at = now;
  if (memory.programs_notes != before)
    memory.events.push_back(
        {"", model::EventType::kWarning, "ProgramsIncomplete", "Its eBPF programs are in force, but " + memory.programs_notes, now});
}

}  // namespace

void record_programs(PodMemory& memory, const ActionOutcome& outcome, Time now) {
  if (outcome.error && outcome.reason == kProgramPlanRefused) return record_no_plan(memory, *outcome.error, now);
  memory.programs_plan_error.clear();
  const std::string before = memory.programs_error;
  memory.programs_tried = true;
  if (outcome.error) {
    memory.programs_error = outcome.error->message().empty() ? std::string(to_string(outcome.error->code)) : outcome.error->message();
    memory.programs_unsupported = outcome.error->code == Code::kUnsupported;
    memory.programs_hooks_lack = true;
    memory.programs_required_lack = outcome.reason == kRequiredProgramsRefused;
    // The cgroup went away under us: it is made again first.
    if (outcome.error->code == Code::kGone) memory.cgroup.reset();
  } else if (const auto* report = std::get_if<model::AttachReport>(&outcome.value)) {
    memory.programs = *report;
    memory.programs_unsupported = false;
    memory.programs_hooks_lack = !report->hooks_effective();
    memory.programs_required_lack = !report->required_effective();
    memory.programs_error = report->effective() ? std::string() : refused_hooks(*report);
    record_notes(memory, *report, now);
    if (report->effective()) return;
  } else {
    memory.programs_hooks_lack = true;
    memory.programs_error = "the attach came back without a report";
  }
  ++memory.programs_failures;
  memory.programs_failed_at = now;
  if (memory.programs_error != before)
    memory.events.push_back(
        {"", model::EventType::kWarning, "FailedAttachPrograms", "Failed to attach eBPF programs: " + memory.programs_error, now});
}

}  // namespace pintle::lifecycle
