// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/pod_loop.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "lifecycle/admission.h"
#include "reconcile/listed.h"
#include "reconcile/static_pods.h"
#include "reconcile/timeline.h"

namespace pintle::reconcile {
namespace {

const std::shared_ptr<const model::ObservedPod>& nothing() {
  static const auto kNothing = std::make_shared<const model::ObservedPod>();
  return kNothing;
}

// A pod that nobody names, made of what was found of it: enough to end it (facts row 4.12).
PodPtr orphan_pod(const PodUid& uid, const model::ObservedPod& seen) {
  auto pod = std::make_shared<model::Pod>();
  pod->metadata.uid = uid.value();
  if (!seen.sandboxes.empty()) {
    pod->metadata.name = seen.sandboxes.front().name;
    pod->metadata.namespace_ = seen.sandboxes.front().namespace_;
  } else if (!seen.containers.empty()) {
    pod->metadata.name = seen.containers.front().pod_name;
    pod->metadata.namespace_ = seen.containers.front().pod_namespace;
  } else {
    pod->metadata.name = uid.value();
    pod->metadata.namespace_.clear();  // not known, so that nobody takes the default for it
  }
  pod->metadata.deletion_grace_period_seconds = 1;
  pod->spec.termination_grace_period_seconds = 1;
  return pod;
}

bool shown_in_volumes_differs(const model::Pod& a, const model::Pod& b) {
  return a.metadata.labels != b.metadata.labels || a.metadata.annotations != b.metadata.annotations;
}

bool has_running(const PodEntry& entry) {
  return entry.observed != nullptr &&
         std::ranges::any_of(entry.observed->containers, [](const auto& c) { return c.state == model::RunState::kRunning; });
}

}  // namespace

PodLoop::~PodLoop() {
  for (auto& [uid, entry] : entries_) {
    if (entry.plan) entry.plan->stop.request_stop();
    entry.probes.request_stop();
  }
}

PodEntry& PodLoop::add(const PodPtr& pod, const std::string& source, Time now) {
  const PodUid uid = pod->uid();
  PodEntry& entry = entries_[uid];
  entry.uid = uid;
  entry.desired = pod;
  entry.source = source;
  entry.arrival = ++arrivals_;
  entry.requests = lifecycle::pod_requests(pod->spec);
  entry.changed = true;
  if (out_.traces != nullptr && !source.empty()) entry.trace = std::make_unique<PodTrace>(*out_.traces, *pod, now);
  by_name_[pod->full_name()].insert(uid);
  tell_mirrors(entry);
  if (!listed_) return entry;
  // Nothing of it was there at the last full list, and nobody but us makes sandboxes.
  entry.floor = list_mark_;
  entry.observed = nothing();
  if (const auto seen = unknown_.find(uid); seen != unknown_.end()) {
    entry.observed = std::make_shared<const model::ObservedPod>(std::move(seen->second));
    unknown_.erase(seen);
  }
  return entry;
}

void PodLoop::tell_mirrors(const PodEntry& entry) {
  if (out_.mirrors != nullptr && is_static(entry.source)) out_.mirrors->static_seen(entry.desired);
}

void PodLoop::set_pod(const PodPtr& pod, const std::string& source, Time now) {
  if (source == kApiSource && is_mirror(*pod)) {
    if (out_.mirrors != nullptr) out_.mirrors->mirror_seen(pod);
    return;
  }
  const auto found = entries_.find(pod->uid());
  if (found == entries_.end()) return settle(add(pod, source, now), now);
  PodEntry& entry = found->second;
  if (entry.removed && !entry.orphan() && entry.memory.stage < lifecycle::PodStage::kTerminating)
    entry.removed = false;  // its end was not begun
  if (entry.removed) {      // row 4.10: it ends first, then begins anew
    entry.successor = pod;
    entry.successor_source = source;
    return;
  }
  if (shown_in_volumes_differs(*entry.desired, *pod)) lifecycle::request_volume_refresh(entry.memory);
  const bool anything_new = *entry.desired != *pod;
  entry.desired = pod;
  entry.requests = lifecycle::pod_requests(pod->spec);
  entry.changed = true;
  if (anything_new) tell_mirrors(entry);
  settle(entry, now);
  // The API's copy may have lost what was said (row 6.2); the writer compares.
  if (anything_new && entry.published) publish(entry);
}

void PodLoop::remove_pod(const PodUid& uid, Time now, const std::string& traceparent) {
  const auto found = entries_.find(uid);
  if (found == entries_.end()) {
    if (out_.mirrors != nullptr) out_.mirrors->mirror_gone(uid);
    return;
  }
  PodEntry& entry = found->second;
  entry.successor.reset();
  if (entry.removed) return;
  if (entry.trace != nullptr) entry.trace->deleted_by(traceparent);
  entry.removed = true;
  entry.changed = true;
  settle(entry, now);
}

void PodLoop::set_sources_ready(Time now) {
  if (sources_ready_) return;
  sources_ready_ = true;
  if (out_.mirrors != nullptr) out_.mirrors->sources_ready();
  adopt_orphans(now);
}

void PodLoop::set_node(std::shared_ptr<const lifecycle::NodeFacts> node, Time now) {
  node_ = std::move(node);
  for (const PodUid& uid : in_admission_order())
    if (const auto found = entries_.find(uid); found != entries_.end()) settle(found->second, now);
}

void PodLoop::hint_volumes(const PodUid& uid, Time now) {
  const auto found = entries_.find(uid);
  if (found == entries_.end()) return;
  lifecycle::request_volume_refresh(found->second.memory);
  settle(found->second, now);
}

void PodLoop::hint_programs(const PodUid& uid, Time now) {
  const auto found = entries_.find(uid);
  if (found == entries_.end()) return;
  lifecycle::request_programs_check(found->second.memory);
  settle(found->second, now);
}

void PodLoop::take_observation(PodEntry& entry, std::shared_ptr<const model::ObservedPod> observed, ReadMark mark) {
  entry.observed = std::move(observed);
  entry.floor = std::max(entry.floor, mark);
}

// What a full read brings besides states: addresses and last words. It answers for no step of the pod's, so it clears no wait.
void PodLoop::record_read(PodEntry& entry, const lifecycle::ActionOutcome& outcome, Time now) {
  const auto wait = entry.memory.step_wait;
  auto reason = entry.memory.step_reason, message = entry.memory.step_message;
  lifecycle::record(entry.memory, lifecycle::InspectPod{}, outcome, now);
  entry.memory.step_wait = wait;
  entry.memory.step_reason = std::move(reason);
  entry.memory.step_message = std::move(message);
}

void PodLoop::observe(Observation observation, Time now) {
  const PodUid uid = observation.pod.uid;
  const auto found = entries_.find(uid);
  if (found == entries_.end()) return;  // whether it is ours to release, the next full list tells
  PodEntry& entry = found->second;
  if (observation.mark < entry.floor || !listed_) return;
  forget_unread_marks(observation.pod);
  const bool same = entry.observed != nullptr && *entry.observed == observation.pod && !entry.stale;
  if (same && observation.termination_messages.empty()) return;
  lifecycle::ActionOutcome outcome;
  outcome.observed = observation.pod;
  outcome.termination_messages = std::move(observation.termination_messages);
  record_read(entry, outcome, now);
  take_observation(entry, same ? entry.observed : std::make_shared<const model::ObservedPod>(std::move(observation.pod)), observation.mark);
  if (!entry.plan) entry.stale = false;
  if (!same) settle(entry, now);
}

void PodLoop::observe_all(const std::vector<model::ObservedPod>& pods, const std::vector<PodUid>& leftovers, ReadMark mark, Time now) {
  if (mark < list_mark_) return;
  list_mark_ = mark;
  listed_ = true;
  unknown_.clear();
  std::erase_if(gone_, [&](const auto& entry) { return entry.second < mark; });
  const auto unknown = [&](const PodUid& uid) { return !entries_.contains(uid) && !gone_.contains(uid); };
  std::map<PodUid, const model::ObservedPod*> seen;
  for (const auto& pod : pods) seen.emplace(pod.uid, &pod);
  // A pod that no source names is ours to release only if its sandbox bears our mark, it left something in our own trees or we have
  // released it before: another agent's pods may share the runtime.
  for (const auto& pod : pods)
    if (unknown(pod.uid) && is_ours(pod)) forget_unread_marks(unknown_.emplace(pod.uid, pod).first->second);
  for (const auto& uid : leftovers) {
    if (!unknown(uid)) continue;
    auto& orphan = unknown_[uid];
    if (const auto listed = seen.find(uid); listed != seen.end()) orphan = *listed->second;
    orphan.uid = uid;
    forget_unread_marks(orphan);
  }

  std::set<PodUid> touched;
  for (auto& [uid, entry] : entries_) {
    if (mark < entry.floor) continue;
    const auto listed = seen.find(uid);
    const auto& now_seen = listed == seen.end() ? *nothing() : *listed->second;
    auto merged = merge_listed(entry.observed, now_seen);
    const bool same = merged == entry.observed && !entry.stale;
    take_observation(entry, std::move(merged), mark);
    if (!entry.plan) entry.stale = false;
    if (!same) touched.insert(uid);
  }
  for (const PodUid& uid : in_admission_order())
    if (const auto found = entries_.find(uid); touched.contains(uid) && found != entries_.end()) settle(found->second, now);
  if (sources_ready_) adopt_orphans(now);
}

bool PodLoop::is_ours(const model::ObservedPod& seen) const {
  // A sandbox that an agent asked for before it was killed may come when its pod is long gone.
  if (std::ranges::find(released_, seen.uid) != released_.end()) return true;
  return !out_.owner.empty() && std::ranges::any_of(seen.sandboxes, [&](const auto& sandbox) {
    const auto mark = sandbox.annotations.find(std::string(kOwnerAnnotation));
    return mark != sandbox.annotations.end() && mark->second == out_.owner;
  });
}

void PodLoop::adopt_orphans(Time now) {
  if (!listed_) return;
  for (auto& [uid, seen] : std::exchange(unknown_, {})) add_orphan(uid, seen, list_mark_, now);
}

void PodLoop::add_orphan(const PodUid& uid, const model::ObservedPod& seen, ReadMark mark, Time now) {
  if (entries_.contains(uid)) return;
  const PodPtr pod = orphan_pod(uid, seen);
  const bool named = pod->metadata.name != uid.value();
  PINTLE_LOG(kInfo, "reconcile", "pod {}'{}' is in no source: {} sandboxes, {} containers and whatever else is left of it are released",
             named ? fmt::format("'{}' ", pod->full_name()) : "", uid.value(), seen.sandboxes.size(), seen.containers.size());
  PodEntry& entry = add(pod, {}, now);
  entry.removed = true;
  take_observation(entry, std::make_shared<const model::ObservedPod>(seen), mark);
  settle(entry, now);
}

void PodLoop::action_done(const PodUid& uid, ActionTicket ticket, ActionReply reply, Time now) {
  const auto found = entries_.find(uid);
  if (found == entries_.end()) return;
  PodEntry& entry = found->second;
  if (!entry.plan || entry.plan->number != ticket.plan || ticket.index >= entry.plan->actions.size() || entry.plan->done[ticket.index])
    return;
  RunningPlan& plan = *entry.plan;
  entry.last_mark = std::max(entry.last_mark, reply.mark);
  plan.done[ticket.index] = true;
  --plan.left;
  const lifecycle::Action& action = plan.actions[ticket.index];
  auto& outcome = reply.outcome;
  // A refresh that went well is no news: each minute's would push the pod's history out.
  const bool routine =
      plan.reread || (std::holds_alternative<lifecycle::MountVolumes>(action) && entry.memory.volumes_mounted && !outcome.error);
  if (plan.reread)
    record_read(entry, outcome, now);
  else
    lifecycle::record(entry.memory, action, outcome, now);
  if (!routine && entry.trace && ticket.index < plan.traces.size())
    entry.trace->action_done(*entry.desired, node_->node_name, action, outcome, plan.traces[ticket.index], now);
  if (auto text = routine ? std::string() : timeline_text(action, outcome); !text.empty()) {
    add_to_timeline(entry.timeline, {now, std::move(text), outcome.took, outcome.error.has_value()});
    entry.changed = true;
  }
  if (outcome.observed) {
    // Of two reads the one that began later tells; an effect is always before its own read.
    if (reply.mark >= entry.floor) {
      forget_unread_marks(*outcome.observed);
      take_observation(entry, std::make_shared<const model::ObservedPod>(std::move(*outcome.observed)), reply.mark);
      entry.stale = false;
    }
    entry.reread_backoff.reset();
    entry.reread_at = {};
  } else if (touches_runtime(action) && reply.mark >= entry.floor) {
    entry.floor = reply.mark;
    entry.stale = true;
    if (plan.reread) {
      entry.reread_at = now + entry.reread_backoff.next();
      entry.explanation =
          fmt::format("the runtime does not tell about the pod: {}", outcome.error ? outcome.error->message() : "no answer");
    }
  }
  if (plan.left == 0) entry.plan.reset();
  settle(entry, now);
}

void PodLoop::probe_done(const PodUid& uid, const lifecycle::ProbeDone& done, Time now) {
  const auto found = entries_.find(uid);
  if (found == entries_.end()) return;
  lifecycle::record(found->second.memory, done, *found->second.desired, now);
  settle(found->second, now);
}

void PodLoop::status_confirmed(const PodUid& uid, const model::PodStatus& as_in_api, Time now) {
  const auto found = entries_.find(uid);
  if (found == entries_.end() || found->second.confirmed_phase == as_in_api.phase) return;
  PodEntry& entry = found->second;
  entry.confirmed_phase = as_in_api.phase;
  add_to_timeline(entry.timeline, {now, fmt::format("the API has phase {}", to_string(as_in_api.phase)), std::nullopt, false});
  entry.changed = true;
  tell_watcher(entry);
}

void PodLoop::wake(Time now) {
  std::vector<PodUid> due;
  for (const auto& [at, uid] : wakes_) {
    if (at > now) break;
    due.push_back(uid);
  }
  for (const auto& uid : due)
    if (const auto found = entries_.find(uid); found != entries_.end()) settle(found->second, now);
}

std::optional<Time> PodLoop::next_wake() const { return wakes_.empty() ? std::nullopt : std::optional<Time>(wakes_.begin()->first); }

std::vector<ports::PodRecord> PodLoop::snapshot() const {
  std::vector<ports::PodRecord> records;
  records.reserve(entries_.size());
  for (const auto& [uid, entry] : entries_) records.push_back(make_record(entry, node_.get()));
  return records;
}

std::vector<model::AttachReport> PodLoop::program_reports() const {
  std::vector<model::AttachReport> reports;
  reports.reserve(entries_.size());
  for (const auto& [uid, entry] : entries_) {
    const auto phase = entry.decided ? entry.status->phase : entry.desired->status.phase;
    // One that has ended wants none, and has given back what it had.
    if (entry.memory.programs && !model::is_terminal(phase)) reports.push_back(*entry.memory.programs);
  }
  return reports;
}

std::optional<ports::PodRecord> PodLoop::find(const PodUid& uid) const {
  const auto found = entries_.find(uid);
  if (found == entries_.end()) return std::nullopt;
  return make_record(found->second, node_.get());
}

size_t PodLoop::running_plans() const {
  return static_cast<size_t>(std::ranges::count_if(entries_, [](const auto& entry) { return entry.second.plan.has_value(); }));
}

// Pods that run already were admitted by an earlier run of the agent and go first; the others by age (facts row 3.3).
std::vector<PodUid> PodLoop::in_admission_order() const {
  struct Key {
    bool fresh;
    Time created;
    uint64_t arrival;
    PodUid uid;
    auto operator<=>(const Key&) const = default;
  };
  std::vector<Key> keys;
  keys.reserve(entries_.size());
  for (const auto& [uid, entry] : entries_)
    keys.push_back({!has_running(entry), entry.desired->metadata.creation_timestamp.value_or(kNoTime), entry.arrival, uid});
  std::ranges::sort(keys);
  std::vector<PodUid> order;
  order.reserve(keys.size());
  for (auto& key : keys) order.push_back(std::move(key.uid));
  return order;
}

}  // namespace pintle::reconcile
