// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "sources/merge.h"

#include <algorithm>

#include "sources/annotations.h"

namespace pintle::sources {
namespace {

bool same_annotations(const model::StringMap& a, const model::StringMap& b) {
  const auto is_local = [](const std::string& key) { return key == kConfigSource || key == kConfigSeen || key == kConfigMirror; };
  const auto next = [&](auto at, auto end) {
    while (at != end && is_local(at->first)) ++at;
    return at;
  };
  auto left = next(a.begin(), a.end()), right = next(b.begin(), b.end());
  while (left != a.end() && right != b.end()) {
    if (*left != *right) return false;
    left = next(++left, a.end());
    right = next(++right, b.end());
  }
  return left == a.end() && right == b.end();
}

// Adds what row 2.4 asks for. A newer version of a pod keeps the time at which the first was seen.
ports::PodPtr annotate(ports::PodPtr pod, const ports::PodPtr& before, const std::string& source, Time now) {
  const auto& have = pod->metadata.annotations;
  const auto at = have.find(std::string(kConfigSource));
  if (at != have.end() && at->second == source && have.contains(std::string(kConfigSeen))) return pod;
  auto copy = std::make_shared<model::Pod>(*pod);
  copy->metadata.annotations[std::string(kConfigSource)] = source;
  std::string seen = format_rfc3339_nano(now);
  if (before)
    if (const auto old = before->metadata.annotations.find(std::string(kConfigSeen)); old != before->metadata.annotations.end())
      seen = old->second;
  copy->metadata.annotations[std::string(kConfigSeen)] = std::move(seen);
  return copy;
}

bool by_creation(const ports::PodPtr& a, const ports::PodPtr& b) {
  const Time left = a->metadata.creation_timestamp.value_or(kNoTime), right = b->metadata.creation_timestamp.value_or(kNoTime);
  return left != right ? left < right : a->full_name() < b->full_name();
}

}  // namespace

bool differs_in_meaning(const model::Pod& before, const model::Pod& after) {
  const auto &a = before.metadata, &b = after.metadata;
  return before.spec != after.spec || a.labels != b.labels || a.deletion_timestamp != b.deletion_timestamp ||
         a.deletion_grace_period_seconds != b.deletion_grace_period_seconds || !same_annotations(a.annotations, b.annotations);
}

void MergeState::upsert(Pods& pods, const std::string& source, ports::PodPtr pod, Time now, PodChanges& out) {
  auto& slot = pods[pod->uid()];
  if (slot == pod) return;
  pod = annotate(std::move(pod), slot, source, now);
  // Told again: everybody goes on sharing the one they have.
  if (slot && *slot == *pod) return;
  if (!slot) {
    out.added.push_back(pod);
  } else if (differs_in_meaning(*slot, *pod)) {
    const bool deletion = pod->metadata.deletion_timestamp.has_value() && !slot->metadata.deletion_timestamp.has_value();
    (deletion ? out.deleting : out.updated).push_back(pod);
  } else {
    out.status_only.push_back(pod);
  }
  slot = std::move(pod);
}

PodChanges MergeState::apply(const std::string& source, ports::PodChange change, Time now) {
  PodChanges out{.source = source};
  Pods& pods = sources_[source];
  if (auto* set = std::get_if<ports::PodSet>(&change)) {
    std::set<PodUid> named;
    for (const auto& pod : set->pods) named.insert(pod->uid());
    named.insert(set->unread.begin(), set->unread.end());
    std::erase_if(pods, [&](const auto& entry) {
      const bool gone = !named.contains(entry.first);
      if (gone) out.removed.push_back({entry.first});
      return gone;
    });
    for (auto& pod : set->pods) upsert(pods, source, std::move(pod), now, out);
    waiting_for_.erase(source);
  } else if (auto* one = std::get_if<ports::PodUpsert>(&change)) {
    upsert(pods, source, std::move(one->pod), now, out);
  } else if (auto* gone = std::get_if<ports::PodGone>(&change)) {
    if (pods.erase(gone->uid) > 0) out.removed.push_back(std::move(*gone));
  } else {
    out.problems.push_back(std::get<ports::PodProblem>(std::move(change)));
  }
  std::ranges::sort(out.added, by_creation);
  out.all_sources_ready = waiting_for_.empty();
  return out;
}

void Merge::deliver(const std::string& source, ports::PodChange change) {
  const MutexLock lock(mu_);  // held over the consumer: changes arrive in the order in which they were merged
  const bool was_ready = state_.all_sources_ready();
  PodChanges changes = state_.apply(source, std::move(change), clock_.now());
  if (!changes.empty() || changes.all_sources_ready != was_ready) consumer_(std::move(changes));
}

bool Merge::all_sources_ready() {
  const MutexLock lock(mu_);
  return state_.all_sources_ready();
}

}  // namespace pintle::sources
