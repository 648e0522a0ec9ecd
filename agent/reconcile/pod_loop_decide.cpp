// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The second half of PodLoop: from a changed entry to a decision and its consequences.
#include <algorithm>

#include <fmt/format.h>

#include "lifecycle/programs.h"
#include "reconcile/pod_loop.h"
#include "reconcile/static_pods.h"
#include "reconcile/timeline.h"

namespace pintle::reconcile {
namespace {

constexpr size_t kReleasedKnown = 256;

// Admitted and not at its end: what it asks for is taken.
bool counts_on_node(const PodEntry& entry) {
  using lifecycle::PodStage;
  if (entry.orphan() || !entry.memory.rejected_reason.empty()) return false;
  return entry.memory.stage != PodStage::kNew && entry.memory.stage != PodStage::kFinished && !model::is_terminal(entry.status->phase);
}

// The memory keeps the last status as well, mostly this one.
std::shared_ptr<const model::PodStatus> shared_status(const std::shared_ptr<const model::PodStatus>& kept, model::PodStatus status) {
  return kept != nullptr && *kept == status ? kept : std::make_shared<const model::PodStatus>(std::move(status));
}

}  // namespace

bool touches_runtime(const lifecycle::Action& action) {
  using namespace lifecycle;
  return std::holds_alternative<RunSandbox>(action) || std::holds_alternative<StartContainer>(action) ||
         std::holds_alternative<StopContainer>(action) || std::holds_alternative<RemoveContainer>(action) ||
         std::holds_alternative<StopSandbox>(action) || std::holds_alternative<RemoveSandbox>(action) ||
         std::holds_alternative<InspectPod>(action);
}

ports::PodRecord make_record(const PodEntry& entry, const lifecycle::NodeFacts* node) {
  ports::PodRecord record;
  record.pod = entry.desired;
  record.source = entry.orphan() ? "orphan" : entry.source;
  record.status = entry.decided ? *entry.status : entry.desired->status;
  record.programs = entry.memory.programs;
  if (node != nullptr) record.policy = lifecycle::ebpf_policy(*entry.desired, *node);
  record.explanation = entry.explanation;
  record.timeline.assign(entry.timeline.begin(), entry.timeline.end());
  return record;
}

std::optional<ProgramStanding> PodLoop::program_standing(const PodUid& uid) const {
  using State = ProgramStanding::State;
  const auto found = entries_.find(uid);
  if (found == entries_.end() || node_ == nullptr) return std::nullopt;
  const PodEntry& entry = found->second;
  const auto& memory = entry.memory;
  ProgramStanding standing{.policy = lifecycle::ebpf_policy(*entry.desired, *node_),
                           .named = !entry.desired->metadata.namespace_.empty(),
                           .why = entry.explanation};
  if (standing.policy == model::EbpfPolicy::kOff) {
    standing.state = State::kOff;
  } else if (entry.plan || memory.programs_check || !memory.cgroup_known || !memory.cgroup) {
    standing.state = State::kPending;
  } else if (lifecycle::programs_effective(memory)) {
    standing.state = State::kInForce;
  } else if (!memory.programs_plan_error.empty()) {
    standing.state = State::kNoPlan;
    standing.why = memory.programs_plan_error;
  } else if (memory.programs_tried) {
    standing.state = State::kRefused;
    standing.why = memory.programs_error;
  }
  return standing;
}

ActionContext PodLoop::context_of(const PodEntry& entry) const {
  ActionContext context{entry.desired, node_, entry.observed, entry.memory.cgroup_parent, {}, {}};
  context.pod_ips = entry.desired->spec.host_network ? node_->host_ips : entry.memory.sandbox_ips;
  if (!entry.decided || entry.status->pod_ips.empty()) return context;
  context.pod_ips = entry.status->pod_ips;
  return context;
}

void PodLoop::sum_others(const PodEntry& entry, model::ResourceList& requests, int& pods) const {
  for (const auto& [uid, other] : entries_) {
    if (uid == entry.uid || !counts_on_node(other)) continue;
    ++pods;
    for (const auto& [name, quantity] : other.requests) {
      auto& sum = requests[name];
      sum = Quantity::from_milli(sum.milli() + quantity.milli());
    }
  }
}

// A static pod whose name another one still holds waits for that one's end (row 4.11).
bool PodLoop::waits_for_namesake(const PodEntry& entry) const {
  if (!is_static(entry.source) || entry.memory.stage != lifecycle::PodStage::kNew) return false;
  const auto names = by_name_.find(entry.desired->full_name());
  if (names == by_name_.end()) return false;
  return std::ranges::any_of(names->second, [&](const PodUid& uid) {
    const auto other = entries_.find(uid);
    if (uid == entry.uid || other == entries_.end() || other->second.finished) return false;
    return other->second.orphan() || (is_static(other->second.source) && other->second.arrival < entry.arrival);
  });
}

void PodLoop::settle_namesakes(const std::string& full_name, Time now) {
  const auto names = by_name_.find(full_name);
  if (names == by_name_.end()) return;
  for (const PodUid& uid : std::set<PodUid>(names->second))
    if (const auto found = entries_.find(uid); found != entries_.end() && found->second.waits_for_namesake) settle(found->second, now);
}

bool PodLoop::held(PodEntry& entry) {
  const auto because = [&](std::string text) {
    entry.changed = entry.changed || entry.explanation != text;
    entry.explanation = std::move(text);
    return true;
  };
  if (node_ == nullptr || !listed_) return because("waiting for the container runtime's first answer");
  entry.waits_for_namesake = waits_for_namesake(entry);
  if (!entry.waits_for_namesake) return false;
  // Gone before it began: nothing of it exists.
  return !entry.removed && because("waiting for the end of the earlier pod of this name");
}

void PodLoop::settle(PodEntry& entry, Time now) {
  set_wake(entry, std::nullopt);
  if (held(entry)) return tell_watcher(entry);
  const PodUid uid = entry.uid;
  const std::string name = entry.desired->full_name();
  const bool was_finished = entry.finished;
  if (entry.stale && !entry.plan && node_->runtime_ready) {
    if (now < entry.reread_at)
      set_wake(entry, entry.reread_at);
    else
      start_plan(entry, {lifecycle::InspectPod{}}, true);
  }
  decide(entry, now);
  if (entry.finished && entry.removed && !entry.plan) return drop(uid, now);
  tell_watcher(entry);
  if (entry.finished && !was_finished) settle_namesakes(name, now);
}

void PodLoop::decide(PodEntry& entry, Time now) {
  lifecycle::PodView view;
  view.desired = entry.desired.get();
  view.removed = entry.removed;
  view.observed = entry.observed.get();
  view.memory = &entry.memory;
  view.node = node_.get();
  view.plan_running = entry.plan.has_value() || entry.stale;
  model::ResourceList others;
  if (entry.memory.stage == lifecycle::PodStage::kNew) {
    sum_others(entry, others, view.pods_on_node);
    view.requested_by_others = &others;
  }
  apply(entry, lifecycle::decide(view, now), now);
}

void PodLoop::apply(PodEntry& entry, lifecycle::Decision decision, Time now) {
  entry.memory = std::move(decision.memory);
  if (!entry.orphan())
    for (const auto& event : decision.events) out_.events.record(event);
  const bool looked_at = entry.memory.stage != lifecycle::PodStage::kNew;
  const bool news = !entry.decided || (looked_at && !entry.published && !entry.orphan()) || *entry.status != decision.status ||
                    entry.finished != decision.finished;
  if (!entry.decided || entry.status->phase != decision.status.phase)
    add_to_timeline(entry.timeline, {now, fmt::format("phase {}", to_string(decision.status.phase)), std::nullopt, false});
  if (news) entry.status = shared_status(entry.memory.last_status, std::move(decision.status));
  if (entry.explanation != decision.explanation && !(entry.stale && decision.explanation.empty())) {
    entry.explanation = std::move(decision.explanation);
    entry.changed = true;
  }
  entry.finished = decision.finished;
  entry.decided = true;
  entry.changed = entry.changed || news;
  if (entry.trace) trace_decision(entry, now);
  if (news) publish(entry);
  if (decision.wake_at && (!entry.wake_at || *decision.wake_at < *entry.wake_at)) set_wake(entry, decision.wake_at);
  if (decision.cancel_running && entry.plan) entry.plan->stop.request_stop();
  for (const auto& probe : decision.probes) out_.probes.start(entry.uid, probe, context_of(entry), entry.probes.get_token());
  if (!decision.plan.empty() && !entry.plan) start_plan(entry, std::move(decision.plan), false);
}

void PodLoop::trace_decision(PodEntry& entry, Time now) {
  const auto published = entry.desired->status.phase;
  const bool existed = (published != model::Phase::kPending && published != model::Phase::kUnknown) ||
                       (entry.observed != nullptr && (!entry.observed->sandboxes.empty() || !entry.observed->containers.empty()));
  entry.trace->decided(*entry.desired, node_->node_name,
                       {.memory = entry.memory, .status = *entry.status, .existed = existed, .finished = entry.finished}, now);
}

void PodLoop::publish(PodEntry& entry) {
  // One that the API has lost already, or never had, has nobody to tell.
  if (entry.orphan() || (entry.removed && !is_static(entry.source))) return;
  // Not looked at yet by this run of the agent: what an earlier one published stands.
  if (entry.memory.stage == lifecycle::PodStage::kNew) return;
  entry.published = true;
  out_.statuses.publish({entry.desired, entry.source, entry.status, entry.finished});
}

void PodLoop::start_plan(PodEntry& entry, std::vector<lifecycle::Action> actions, bool reread) {
  RunningPlan& plan = entry.plan.emplace();
  plan.number = ++plans_;
  plan.reread = reread;
  plan.left = actions.size();
  plan.done.resize(actions.size());
  plan.actions = std::move(actions);
  ActionContext context = context_of(entry);
  if (entry.trace && !reread)
    for (size_t i = 0; i < plan.actions.size(); ++i) plan.traces.push_back(entry.trace->begin_action());
  for (size_t i = 0; i < plan.actions.size(); ++i) {
    if (!plan.traces.empty()) context.trace = plan.traces[i].context;
    out_.actions.start(entry.uid, {plan.number, i}, plan.actions[i], context, plan.stop.get_token());
  }
}

void PodLoop::set_wake(PodEntry& entry, std::optional<Time> at) {
  if (entry.wake_at) wakes_.erase({*entry.wake_at, entry.uid});
  entry.wake_at = at;
  if (at) wakes_.emplace(*at, entry.uid);
}

void PodLoop::tell_watcher(PodEntry& entry) {
  if (!std::exchange(entry.changed, false) || out_.watcher == nullptr || !out_.watcher->wants_changes()) return;
  out_.watcher->pod_changed(make_record(entry, node_.get()));
}

void PodLoop::drop(const PodUid& uid, Time now) {
  const auto found = entries_.find(uid);
  PodEntry& entry = found->second;
  entry.probes.request_stop();
  if (entry.trace) entry.trace->dropped(*entry.desired, node_ == nullptr ? std::string() : node_->node_name, now);
  set_wake(entry, std::nullopt);
  if (out_.watcher != nullptr && out_.watcher->wants_changes()) {
    auto record = make_record(entry, node_.get());
    record.removed = true;
    out_.watcher->pod_changed(record);
  }
  const std::string name = entry.desired->full_name();
  const PodPtr successor = std::move(entry.successor);
  const std::string source = std::move(entry.successor_source);
  if (auto& names = by_name_[name]; names.erase(uid) > 0 && names.empty()) by_name_.erase(name);
  gone_[uid] = std::max({entry.floor, entry.last_mark, list_mark_});
  if (entry.memory.files_removed) {
    released_.push_back(uid);
    if (released_.size() > kReleasedKnown) released_.pop_front();
  }
  entries_.erase(found);
  out_.statuses.forget(uid);
  if (successor != nullptr) set_pod(successor, source, now);
  settle_namesakes(name, now);
}

}  // namespace pintle::reconcile
