// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The newest events of this node, kept for people beside being sent to the API. Thread rule: any thread; never blocks.
#pragma once

#include <deque>
#include <vector>

#include "base/mutex.h"
#include "ports/pod_api.h"

namespace pintle::app {

class EventRing final : public ports::EventSink {
 public:
  static constexpr size_t kKept = 500;

  void record(const model::Event& event) override {
    const MutexLock lock(mu_);
    events_.push_back(event);
    if (events_.size() > kKept) events_.pop_front();
    if (next_ != nullptr) next_->record(event);  // under the lock, so that no call is under way once forward_to() has returned
  }
  // Where events go from now on; it outlives this, or null is set before it goes.
  void forward_to(ports::EventSink* next) {
    const MutexLock lock(mu_);
    next_ = next;
  }
  [[nodiscard]] std::vector<model::Event> list() {
    const MutexLock lock(mu_);
    return {events_.begin(), events_.end()};
  }

 private:
  Mutex mu_;
  std::deque<model::Event> events_ PINTLE_GUARDED_BY(mu_);
  ports::EventSink* next_ PINTLE_GUARDED_BY(mu_) = nullptr;
};

}  // namespace pintle::app
