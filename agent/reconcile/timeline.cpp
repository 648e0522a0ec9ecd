// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/timeline.h"

#include <fmt/format.h>

namespace pintle::reconcile {
namespace {

using namespace lifecycle;

struct Told {
  const ActionOutcome& outcome;

  std::string operator()(const EnsureCgroup&) const { return "cgroup made"; }
  std::string operator()(const FindCgroup&) const {
    const auto* found = std::get_if<CgroupReady>(&outcome.value);
    return found == nullptr ? std::string() : fmt::format("cgroup found: {}", found->path);
  }
  std::string operator()(const AttachPrograms&) const {
    const auto* report = std::get_if<model::AttachReport>(&outcome.value);
    if (report == nullptr) return "eBPF programs attached";
    size_t effective = 0, adopted = 0;
    for (const auto& hook : report->hooks) {
      if (hook.state == model::HookState::kAdopted) ++adopted;
      if (hook.state == model::HookState::kAdopted || hook.state == model::HookState::kAttached) ++effective;
    }
    std::string text = fmt::format("eBPF: {} of {} hooks in force", effective, report->hooks.size());
    if (adopted > 0) text += fmt::format(", {} adopted", adopted);
    return text;
  }
  std::string operator()(const MountVolumes&) const { return "volumes mounted"; }
  std::string operator()(const EnsureImage& action) const {
    return fmt::format("image '{}' {}", action.image, outcome.pulled ? "pulled" : "present");
  }
  std::string operator()(const RunSandbox&) const { return "sandbox ready"; }
  std::string operator()(const StartContainer& action) const {
    return fmt::format("container '{}' started (attempt {})", action.name, action.attempt);
  }
  std::string operator()(const StopContainer& action) const { return fmt::format("container '{}' stopped", action.name); }
  std::string operator()(const RemoveContainer&) const { return "a container's record removed"; }
  std::string operator()(const StopSandbox&) const { return "sandbox stopped"; }
  std::string operator()(const RemoveSandbox&) const { return "the sandbox's record removed"; }
  std::string operator()(const InspectPod&) const { return {}; }
  std::string operator()(const UnmountVolumes&) const { return "volumes unmounted"; }
  std::string operator()(const DetachPrograms&) const { return "eBPF programs detached"; }
  std::string operator()(const RemoveCgroup&) const { return "cgroup removed"; }
  std::string operator()(const RemoveFiles&) const { return "logs and directory removed"; }
};

}  // namespace

void add_to_timeline(std::deque<ports::TimelineEntry>& timeline, ports::TimelineEntry entry) {
  if (!timeline.empty() && timeline.back().text == entry.text) timeline.pop_back();
  timeline.push_back(std::move(entry));
  if (timeline.size() > kTimelineEntries) timeline.pop_front();
}

std::string timeline_text(const Action& action, const ActionOutcome& outcome) {
  if (!outcome.error) return std::visit(Told{outcome}, action);
  if (outcome.error->code == Code::kCancelled) return describe(action) + ": given up, the pod's wishes changed";
  return fmt::format("{}: {}", describe(action), outcome.error->message());
}

}  // namespace pintle::reconcile
