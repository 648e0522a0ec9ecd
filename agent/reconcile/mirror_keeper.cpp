// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/mirror_keeper.h"

#include <algorithm>

#include <fmt/format.h>
#include <pthread.h>

#include "base/log.h"
#include "reconcile/mirror_pod.h"
#include "reconcile/object_version.h"
#include "reconcile/static_pods.h"

namespace pintle::reconcile {
MirrorKeeper::MirrorKeeper(ports::PodApi& api, const Clock& clock, StatusSink& others, MirrorKeeperOptions options)
    : api_(api), clock_(clock), others_(others), options_(std::move(options)), thread_([this](const std::stop_token& stop) {
        run(stop);
      }) {}

void MirrorKeeper::stop() {
  thread_.request_stop();
  if (thread_.joinable()) thread_.join();
}

MirrorKeeper::Entry& MirrorKeeper::entry_of(const model::Pod& pod) {
  const auto [at, is_new] = entries_.try_emplace(pod.full_name());
  if (is_new) at->second.backoff = Backoff(options_.backoff);
  return at->second;
}

void MirrorKeeper::kick() {
  kicked_ = true;
  changed_.notify_all();
}

void MirrorKeeper::static_seen(const PodPtr& pod) {
  MutexLock lock(mu_);
  auto& pods = entry_of(*pod).pods;
  const auto known = std::ranges::find_if(pods, [&](const auto& one) { return one.pod->uid() == pod->uid(); });
  if (known == pods.end())
    pods.push_back({pod, nullptr});
  else
    known->pod = pod;
  kick();
}

void MirrorKeeper::publish(StatusUpdate update) {
  if (!is_static(update.source)) return others_.publish(std::move(update));
  MutexLock lock(mu_);
  Entry& entry = entry_of(*update.pod);
  const auto pod = std::ranges::find_if(entry.pods, [&](const auto& one) { return one.pod->uid() == update.pod->uid(); });
  if (pod == entry.pods.end() || (pod->status != nullptr && *pod->status == *update.status)) return;
  pod->status = std::move(update.status);
  entry.status_due = entry.status_due || pod == entry.pods.begin();
  kick();
}

void MirrorKeeper::forget(const PodUid& uid) {
  {
    MutexLock lock(mu_);
    for (auto& [name, entry] : entries_) {
      if (std::erase_if(entry.pods, [&](const auto& one) { return one.pod->uid() == uid; }) == 0) continue;
      entry.status_due = true;
      kick();
    }
  }
  others_.forget(uid);
}

void MirrorKeeper::mirror_seen(const PodPtr& mirror) {
  MutexLock lock(mu_);
  Entry& entry = entry_of(*mirror);
  if (mirror->metadata.uid == entry.buried) return;
  // The watch may tell an older state, or an older mirror, after a call has answered with a newer one.
  if (entry.mirror != nullptr && (is_older(*mirror, *entry.mirror) || same_version(*mirror, *entry.mirror))) return;
  entry.mirror = mirror;
  entry.status_due = true;
  entry.retry_at.reset();
  kick();
}

void MirrorKeeper::mirror_gone(const PodUid& uid) {
  MutexLock lock(mu_);
  gone_while_creating_.insert(uid);
  for (auto& [name, entry] : entries_) {
    if (entry.buried == uid.value()) entry.buried.clear();
    if (entry.mirror == nullptr || entry.mirror->uid() != uid) continue;
    entry.mirror.reset();
    entry.retry_at = clock_.steady() + options_.pause;
    kick();
  }
}

void MirrorKeeper::sources_ready() {
  MutexLock lock(mu_);
  sources_ready_ = true;
  kick();
}

size_t MirrorKeeper::backlog() {
  MutexLock lock(mu_);
  size_t count = 0;
  for (const auto& [name, entry] : entries_)
    if (step_of(entry) != Step::kNone) ++count;
  return count;
}

MirrorKeeper::Step MirrorKeeper::step_of(const Entry& entry) const {
  if (entry.pods.empty()) return entry.mirror != nullptr && sources_ready_ ? Step::kDelete : Step::kNone;
  if (entry.mirror == nullptr) return Step::kCreate;
  const StaticPod& pod = entry.pods.front();
  // Row 26.2. A graceful deletion would wait for containers that nobody is going to end.
  if (entry.mirror->metadata.deletion_timestamp || annotation(*entry.mirror, kMirrorAnnotation) != static_pod_hash(*pod.pod))
    return Step::kDelete;
  return entry.status_due && pod.status != nullptr ? Step::kPatch : Step::kNone;
}

void MirrorKeeper::run(const std::stop_token& stop) {
  (void)::pthread_setname_np(::pthread_self(), "mirrors");
  while (!stop.stop_requested()) {
    std::optional<SteadyTime> next;
    if (work_off(stop, next)) continue;
    MutexLock lock(mu_);
    const auto kicked = [this]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return kicked_; };
    if (next)
      (void)changed_.wait_for(mu_, stop, *next - clock_.steady(), kicked);
    else
      (void)changed_.wait(mu_, stop, kicked);
  }
}

// One round over the names; true when another one is to follow at once. Else `next` is when the first retry is due.
bool MirrorKeeper::work_off(const std::stop_token& stop, std::optional<SteadyTime>& next) {
  std::vector<std::pair<std::string, Step>> due;
  {
    MutexLock lock(mu_);
    kicked_ = false;
    std::erase_if(entries_, [](const auto& entry) { return entry.second.pods.empty() && entry.second.mirror == nullptr; });
    for (auto& [name, entry] : entries_) {
      const Step step = step_of(entry);
      if (step == Step::kNone) continue;
      if (entry.retry_at && *entry.retry_at > clock_.steady()) {
        next = next ? std::min(*next, *entry.retry_at) : *entry.retry_at;
        continue;
      }
      entry.retry_at.reset();
      due.emplace_back(name, step);
    }
  }
  for (const auto& [name, step] : due) {
    if (stop.stop_requested()) return false;
    take(name, step, stop);
  }
  return !due.empty();
}

void MirrorKeeper::take(const std::string& name, Step step, const std::stop_token& stop) {
  const Status done = step == Step::kCreate ? create(name, stop) : step == Step::kDelete ? remove(name, stop) : patch(name, stop);
  MutexLock lock(mu_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  if (done) {
    entry.backoff.reset();
    entry.last_error.clear();
    return;
  }
  if (done.error().code == Code::kCancelled) return;
  entry.retry_at = clock_.steady() + entry.backoff.next();
  // Without words: a wait that is no failure.
  if (done.error().message().empty() || done.error().message() == entry.last_error) return;
  entry.last_error = done.error().message();
  PINTLE_LOG(kWarning, "reconcile", "mirror of static pod '{}': {}; tried again", name, entry.last_error);
}

Status MirrorKeeper::create(const std::string& name, const std::stop_token& stop) {
  const auto node_uid = options_.node_uid ? options_.node_uid() : std::string();
  if (!node_uid) return fail(Code::kUnavailable, "");
  model::Pod wanted;
  {
    MutexLock lock(mu_);
    const auto found = entries_.find(name);
    if (found == entries_.end() || step_of(found->second) != Step::kCreate) return {};
    wanted = mirror_of(*found->second.pods.front().pod, *node_uid);
    gone_while_creating_.clear();
  }
  // kAlreadyExists: the watch will tell whose it is, and that ends the wait.
  PINTLE_ASSIGN_OR_RETURN(model::Pod made, api_.create_pod(wanted, stop));
  PINTLE_LOG(kInfo, "reconcile", "static pod '{}' is in the API as '{}'", name, made.metadata.uid);
  MutexLock lock(mu_);
  Entry& entry = entry_of(made);
  if (gone_while_creating_.contains(made.uid()) || (entry.mirror != nullptr && is_older(made, *entry.mirror))) return {};
  entry.mirror = std::make_shared<const model::Pod>(std::move(made));
  entry.status_due = true;
  return {};
}

Status MirrorKeeper::remove(const std::string& name, const std::stop_token& stop) {
  PodPtr mirror;
  {
    MutexLock lock(mu_);
    const auto found = entries_.find(name);
    if (found == entries_.end() || step_of(found->second) != Step::kDelete) return {};
    mirror = found->second.mirror;
  }
  const Status deleted = api_.delete_pod(*mirror, stop);
  // kGone: another pod has the name now.
  if (!deleted && deleted.error().code != Code::kGone) return deleted;
  bury(name, mirror->metadata.uid, mirror->metadata.deletion_timestamp ? options_.pause : Duration::zero());
  return {};
}

Status MirrorKeeper::patch(const std::string& name, const std::stop_token& stop) {
  PodPtr mirror;
  PodUid uid;
  model::PodStatus status;
  {
    MutexLock lock(mu_);
    const auto found = entries_.find(name);
    if (found == entries_.end() || step_of(found->second) != Step::kPatch) return {};
    mirror = found->second.mirror;
    uid = found->second.pods.front().pod->uid();
    status = mirror_status(mirror->status, *found->second.pods.front().status);
    found->second.status_due = false;
  }
  auto patched = mirror->status == status ? Result<model::Pod>(*mirror) : api_.patch_status(*mirror, status, stop);
  if (!patched && (patched.error().code == Code::kNotFound || patched.error().code == Code::kGone)) {
    bury(name, mirror->metadata.uid, options_.pause);  // made again by a later round
    return {};
  }
  {
    MutexLock lock(mu_);
    const auto found = entries_.find(name);
    if (found == entries_.end()) return {};
    Entry& entry = found->second;
    if (!patched) {
      entry.status_due = true;
      return std::unexpected(std::move(patched).error());
    }
    if (entry.mirror != nullptr && entry.mirror->metadata.uid == patched->metadata.uid && replaces(*patched, *entry.mirror))
      entry.mirror = std::make_shared<const model::Pod>(*patched);
  }
  if (options_.confirmed) options_.confirmed(uid, patched->status);
  return {};
}

void MirrorKeeper::bury(const std::string& name, const std::string& uid, Duration pause) {
  MutexLock lock(mu_);
  const auto found = entries_.find(name);
  if (found == entries_.end()) return;
  found->second.buried = uid;
  if (pause > Duration::zero()) found->second.retry_at = clock_.steady() + pause;
  if (found->second.mirror != nullptr && found->second.mirror->metadata.uid == uid) found->second.mirror.reset();
}

}  // namespace pintle::reconcile
