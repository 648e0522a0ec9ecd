// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/status_writer.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "reconcile/object_version.h"
#include "reconcile/static_pods.h"

namespace pintle::reconcile {
namespace {

bool may_be_deleted(const model::Pod& as_in_api) {
  return as_in_api.metadata.deletion_timestamp && model::is_terminal(as_in_api.status.phase);
}

}  // namespace

StatusWriter::StatusWriter(ports::PodApi& api, const Clock& clock, Confirmed confirmed, StatusWriterOptions options)
    : api_(api),
      clock_(clock),
      confirmed_(std::move(confirmed)),
      options_(options),
      pool_({.name = "status", .max_threads = options.writers}),
      retries_([this](const std::stop_token& stop) { run_retries(stop); }) {}

void StatusWriter::stop() {
  {
    MutexLock lock(mu_);
    stopping_ = true;
  }
  calls_.request_stop();
  retries_.request_stop();
  if (retries_.joinable()) retries_.join();
  pool_.shut_down();
}

void StatusWriter::publish(StatusUpdate update) {
  if (is_static(update.source)) return;  // the API knows it by its mirror's UID only
  MutexLock lock(mu_);
  const PodUid uid = update.pod->uid();
  auto [at, first] = entries_.try_emplace(uid);
  Entry& entry = at->second;
  if (first) entry.backoff = Backoff(options_.backoff);
  entry.forgotten = false;
  if (entry.known == nullptr || !is_older(*update.pod, *entry.known)) entry.known = update.pod;
  const bool news = first || *entry.wanted != *update.status || entry.finished != update.finished;
  entry.wanted = std::move(update.status);
  entry.finished = update.finished;
  // Told again without news: the API's copy is compared, and written only where it differs.
  if (!news && !entry.dirty && entry.known->status == *entry.wanted && !(entry.finished && may_be_deleted(*entry.known))) return;
  entry.dirty = true;
  if (!entry.sending && (news || !entry.retry_at)) submit(uid, entry);
}

void StatusWriter::forget(const PodUid& uid) {
  MutexLock lock(mu_);
  const auto found = entries_.find(uid);
  if (found == entries_.end()) return;
  // Its last word may still be under way: a job that runs puts it off.
  if (found->second.sending)
    found->second.forgotten = true;
  else
    entries_.erase(found);
}

size_t StatusWriter::backlog() {
  MutexLock lock(mu_);
  return static_cast<size_t>(std::ranges::count_if(entries_, [](const auto& entry) { return entry.second.dirty || entry.second.sending; }));
}

void StatusWriter::submit(const PodUid& uid, Entry& entry) {
  if (stopping_) return;
  entry.sending = true;
  entry.dirty = false;
  entry.retry_at.reset();
  pool_.submit([this, job = Job{uid, entry.known, entry.wanted, entry.finished}] { send(job); });
}

void StatusWriter::send(const Job& job) {
  auto patched = api_.patch_status(*job.known, *job.wanted, calls_.get_token());
  if (!patched) return sent(job, std::unexpected(std::move(patched).error()));
  auto pod = std::make_shared<const model::Pod>(*std::move(patched));
  if (confirmed_) confirmed_(job.uid, pod->status);
  if (job.finished && may_be_deleted(*pod)) {
    auto deleted = api_.delete_pod(*pod, calls_.get_token());
    if (!deleted) return sent(job, std::unexpected(std::move(deleted).error()));
  }
  sent(job, std::move(pod));
}

void StatusWriter::sent(const Job& job, Result<PodPtr> result) {
  MutexLock lock(mu_);
  const auto found = entries_.find(job.uid);
  if (found == entries_.end()) return;
  Entry& entry = found->second;
  entry.sending = false;
  const bool gone = !result && (result.error().code == Code::kNotFound || result.error().code == Code::kGone);
  // Gone: another pod has the name now, or none has. Nobody is left to tell.
  if (entry.forgotten || gone) {
    entries_.erase(found);
    return;
  }
  if (result) {
    if (replaces(**result, *entry.known)) entry.known = *result;
    entry.backoff.reset();
    entry.last_error.clear();
    if (entry.dirty) submit(job.uid, entry);
    return;
  }
  if (result.error().code == Code::kCancelled) return;
  if (entry.last_error != result.error().message()) {
    entry.last_error = result.error().message();
    PINTLE_LOG(kWarning, "reconcile", "{}; tried again", entry.last_error);
  }
  entry.dirty = true;
  entry.retry_at = clock_.steady() + entry.backoff.next();
  kicked_ = true;
  retry_.notify_all();
}

void StatusWriter::run_retries(const std::stop_token& stop) {
  MutexLock lock(mu_);
  while (!stop.stop_requested()) {
    const SteadyTime now = clock_.steady();
    std::optional<SteadyTime> next;
    for (auto& [uid, entry] : entries_) {
      if (!entry.retry_at || entry.sending) continue;
      if (*entry.retry_at <= now)
        submit(uid, entry);
      else if (!next || *entry.retry_at < *next)
        next = entry.retry_at;
    }
    kicked_ = false;
    const auto kicked = [this]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return kicked_; };
    if (next)
      (void)retry_.wait_for(mu_, stop, *next - now, kicked);
    else
      (void)retry_.wait(mu_, stop, kicked);
  }
}

}  // namespace pintle::reconcile
