// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/event_sink.h"

#include <fmt/format.h>

#include "kube/pause.h"

namespace pintle::kube {

namespace {
constexpr int kTries = 5;
}

KubeEventSink::KubeEventSink(ApiConnection& connection, const Clock& clock, Options options)
    : connection_(connection),
      clock_(clock),
      options_(std::move(options)),
      correlator_(options_.component, options_.host),
      thread_([this](std::stop_token stop) { run(std::move(stop)); }) {}

KubeEventSink::~KubeEventSink() = default;

void KubeEventSink::record(const model::Event& event) {
  {
    MutexLock lock(mu_);
    if (queue_.size() >= kQueue) {
      ++counts_.lost;
      return;
    }
    queue_.push_back(event);
  }
  changed_.notify_all();
}

bool KubeEventSink::flush(Duration limit) {
  MutexLock lock(mu_);
  return changed_.wait_for(mu_, limit, [this]() PINTLE_REQUIRES(mu_) { return queue_.empty() && !sending_; });
}

EventCounts KubeEventSink::counts() {
  MutexLock lock(mu_);
  return counts_;
}

void KubeEventSink::run(std::stop_token stop) {
  while (!stop.stop_requested()) {
    model::Event event;
    {
      MutexLock lock(mu_);
      if (!changed_.wait(mu_, stop, [this]() PINTLE_REQUIRES(mu_) { return !queue_.empty(); })) return;
      event = std::move(queue_.front());
      queue_.pop_front();
      sending_ = true;
    }
    CorrelatedEvent correlated = correlator_.add(event, clock_.steady());
    const bool filtered = correlated.verdict == EventVerdict::kDrop;
    const bool sent = !filtered && deliver(correlated, stop);
    {
      MutexLock lock(mu_);
      sending_ = false;
      ++(filtered ? counts_.filtered : sent ? counts_.sent : counts_.lost);
    }
    changed_.notify_all();
  }
}

bool KubeEventSink::deliver(CorrelatedEvent& event, std::stop_token stop) {
  Backoff backoff(options_.backoff);
  for (int attempt = 0; attempt < kTries; ++attempt) {
    if (attempt > 0 && !pause_for(jittered(backoff.next(), 0.5), stop)) return false;
    Status done = event.verdict == EventVerdict::kUpdate ? patch(event.record, stop) : post(event.record, stop);
    if (!done && done.error().code == Code::kNotFound && event.verdict == EventVerdict::kUpdate) {
      event.verdict = EventVerdict::kCreate;  // it aged out of the API server, an hour by default
      done = post(event.record, stop);
    }
    if (done) return true;
    // The reply of an earlier try was lost, or another run of ours used the same nanosecond.
    if (done.error().code == Code::kAlreadyExists) return true;
    if (done.error().code != Code::kUnavailable) break;
  }
  if (event.verdict == EventVerdict::kCreate) correlator_.forget(event.record);
  return false;
}

Status KubeEventSink::post(const codec::EventRecord& record, std::stop_token stop) {
  PINTLE_TRY(connection_.request({.method = "POST",
                                  .path = fmt::format("/api/v1/namespaces/{}/events", percent_encode(record.namespace_)),
                                  .body = codec::encode_event(record)},
                                 std::move(stop)));
  return {};
}

Status KubeEventSink::patch(const codec::EventRecord& record, std::stop_token stop) {
  PINTLE_TRY(connection_.request(
      {.method = "PATCH",
       .path = fmt::format("/api/v1/namespaces/{}/events/{}", percent_encode(record.namespace_), percent_encode(record.name)),
       .body = fmt::format(R"({{"count":{},"lastTimestamp":"{}"}})", record.count, format_rfc3339(record.last_time)),
       .content_type = std::string(kStrategicMergePatch)},
      std::move(stop)));
  return {};
}

}  // namespace pintle::kube
