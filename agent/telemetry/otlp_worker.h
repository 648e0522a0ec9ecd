// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A pipeline with the one thread that sends what is in it: one collector, which keeps no other one's telemetry waiting.
// Thread rule: start() and end() and finish() from one thread; add() and counts() from any, before start() as well. Lifetime: clock and
// callbacks outlive it.
#pragma once

#include <memory>
#include <thread>
#include <utility>

#include "base/mutex.h"
#include "telemetry/otlp_pipeline.h"

namespace pintle::telemetry {

class OtlpWorker {
 public:
  OtlpWorker(OtlpPipelineOptions options, std::unique_ptr<OtlpTransport> transport, const Clock& clock)
      : clock_(clock), pipeline_(std::move(options), std::move(transport), clock) {}
  ~OtlpWorker() { finish(Duration::zero()); }

  void start();  // REQUIRES: called once
  // As of OtlpPipeline.
  template <typename... What>
  void add(What&&... what) {
    if (pipeline_.add(std::forward<What>(what)...)) wake();
  }
  [[nodiscard]] OtlpCounts counts() { return pipeline_.counts(); }

  // Sends what is left, and then nothing more. Does not wait.
  void end() { thread_.request_stop(); }
  // end(), and waits for it for so long; what could not be sent by then is dropped. Idempotent.
  void finish(Duration at_most);

 private:
  void run(const std::stop_token& stop);
  void wake();

  const Clock& clock_;
  OtlpPipeline pipeline_;
  Mutex mu_;
  ConditionVariable changed_;
  bool woken_ PINTLE_GUARDED_BY(mu_) = false, flushed_ PINTLE_GUARDED_BY(mu_) = false;
  std::stop_source abandon_;  // ends a send that is under way
  std::jthread thread_;       // blocks on changed_ and in the transport
};

}  // namespace pintle::telemetry
