// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/otlp_worker.h"

#include <algorithm>

#include <pthread.h>

namespace pintle::telemetry {

void OtlpWorker::start() {
  thread_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
}

void OtlpWorker::wake() {
  {
    const MutexLock lock(mu_);
    woken_ = true;
  }
  changed_.notify_all();
}

void OtlpWorker::run(const std::stop_token& stop) {
  (void)::pthread_setname_np(::pthread_self(), "otlp");
  while (!stop.stop_requested()) {
    const auto next = pipeline_.step(abandon_.get_token());
    const MutexLock lock(mu_);
    const auto woken = [this]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return woken_; };
    if (next)
      (void)changed_.wait_for(mu_, stop, std::max<Duration>(*next - clock_.steady(), Duration::zero()), woken);
    else
      (void)changed_.wait(mu_, stop, woken);
    woken_ = false;
  }
  pipeline_.flush(abandon_.get_token());
  const MutexLock lock(mu_);
  flushed_ = true;
  changed_.notify_all();
}

void OtlpWorker::finish(Duration at_most) {
  if (!thread_.joinable()) return;
  end();
  {
    const MutexLock lock(mu_);
    const auto flushed = [this]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return flushed_; };
    (void)changed_.wait_for(mu_, at_most, flushed);
  }
  abandon_.request_stop();
  thread_.join();
}

}  // namespace pintle::telemetry
