// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Sends events to the API server, as source component "kubelet" where Pintle is one (what users' tools filter by, facts section 32), from a
// bounded queue. Best effort: an event that fails five times, or finds the queue full, is counted as lost.
// Thread rule: record() from any thread, never blocks; one thread of its own sends, on the connection given.
#pragma once

#include <deque>
#include <thread>

#include "base/backoff.h"
#include "base/mutex.h"
#include "kube/api_connection.h"
#include "kube/event_correlator.h"
#include "ports/pod_api.h"

namespace pintle::kube {

struct EventCounts {
  uint64_t sent = 0, filtered = 0, lost = 0;
};

class KubeEventSink final : public ports::EventSink {
 public:
  static constexpr size_t kQueue = 1000;
  struct Options {
    std::string component = "kubelet";
    std::string host;
    BackoffPolicy backoff{std::chrono::seconds(1), std::chrono::seconds(10)};
  };
  // Contract: `connection` and `clock` outlive the sink.
  KubeEventSink(ApiConnection& connection, const Clock& clock, Options options);
  ~KubeEventSink() override;

  void record(const model::Event& event) override;
  // Waits until all recorded events are settled. False: `limit` passed first.
  bool flush(Duration limit);
  [[nodiscard]] EventCounts counts();

 private:
  void run(std::stop_token stop);
  [[nodiscard]] bool deliver(CorrelatedEvent& event, std::stop_token stop);
  [[nodiscard]] Status post(const codec::EventRecord& record, std::stop_token stop);
  [[nodiscard]] Status patch(const codec::EventRecord& record, std::stop_token stop);

  // const after construction
  ApiConnection& connection_;
  const Clock& clock_;
  const Options options_;
  // own thread
  EventCorrelator correlator_;
  Mutex mu_;
  ConditionVariable changed_;
  std::deque<model::Event> queue_ PINTLE_GUARDED_BY(mu_);
  bool sending_ PINTLE_GUARDED_BY(mu_) = false;
  EventCounts counts_ PINTLE_GUARDED_BY(mu_);
  std::jthread thread_;
};

}  // namespace pintle::kube
