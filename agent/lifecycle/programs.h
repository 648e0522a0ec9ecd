// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The gate before a pod's first instruction: its eBPF programs. Nothing of the pod is started before AttachPrograms has
// reported every hook effective (policy required) or has at least been tried (best-effort). Programs that are refused are
// tried again: 50 ms doubling to 10 s when the pod waits for them, 10 s doubling to 300 s when it runs without them.
// A program of an operator that is required (docs/programs.md) holds back a pod that has not begun, whatever the pod's policy; one that
// has begun it doesn't touch. A best-effort one that is refused is told, and nothing waits for it.
// A pod for which there is no plan yet (ports/program_planner.h) waits whatever its policy says; one that has programs keeps them.
// Condition "pintle.dev/ProgramsAttached": True Attached; False AttachRefused (required), Degraded (best-effort), PlanRefused, Off.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "lifecycle/context.h"

namespace pintle::lifecycle {

inline constexpr std::string_view kProgramsCondition = "pintle.dev/ProgramsAttached";

// The pod's annotation, else the node's default; an unknown word counts as required: a policy is never weakened by a typing error.
[[nodiscard]] model::EbpfPolicy ebpf_policy(const model::Pod& pod, const NodeFacts& node);
[[nodiscard]] bool programs_effective(const PodMemory& memory);
// True while nothing of the pod may be started.
[[nodiscard]] bool programs_hold_start(const Context& ctx);
// True while Running and Ready may not be told: required programs were refused or not tried. What an earlier run of the
// agent published stands until this run has tried.
[[nodiscard]] bool programs_withhold(const Context& ctx);
[[nodiscard]] std::string programs_reason(const Context& ctx);

struct ProgramsVerdict {
  bool ok = false;
  std::string reason, message;
};
[[nodiscard]] std::optional<ProgramsVerdict> programs_verdict(const Context& ctx);

// Plans AttachPrograms when it is due. REQUIRES: the cgroup exists.
[[nodiscard]] bool plan_programs(Context& ctx);
void record_programs(PodMemory& memory, const ActionOutcome& outcome, Time now);

}  // namespace pintle::lifecycle
