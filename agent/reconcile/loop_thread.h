// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The one thread that owns a PodLoop: takes inputs in the order in which they are posted, wakes it when it asked for, and gives
// out snapshots and changes. A post is handled at once; there is no tick. Not a place for work that blocks.
// Thread rule: all public methods from any thread; posted functions and change observers run on the loop's thread and must
// not block, nor end the subscription they belong to.
#pragma once

#include <atomic>
#include <deque>
#include <functional>
#include <future>
#include <map>
#include <memory>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/time.h"
#include "ports/agent_view.h"
#include "reconcile/pod_loop.h"

namespace pintle::reconcile {

class LoopThread final : public PodWatcher {
 public:
  using Task = std::function<void(PodLoop&, Time now)>;

  explicit LoopThread(const Clock& clock) : clock_(clock) {}
  ~LoopThread() override { stop(); }

  // Begins to run. What was posted before is done first. REQUIRES: called once; `outputs` outlive stop().
  void start(PodLoopOutputs outputs);
  // Returns when the thread has ended; what is still queued, and what comes later, is dropped. Triggers the stop tokens of all
  // actions and probes. Idempotent.
  void stop();

  void post(Task task);
  [[nodiscard]] std::future<std::vector<ports::PodRecord>> snapshot();
  [[nodiscard]] std::future<std::vector<model::AttachReport>> program_reports();
  [[nodiscard]] std::unique_ptr<ports::Subscription> watch(std::function<void(const ports::PodRecord&)> observer);
  // When the loop last came round: what a watchdog looks at. An idle loop is made to come round by the call.
  [[nodiscard]] bool answers_within(Duration timeout);

  // --- PodWatcher, for the loop ---
  [[nodiscard]] bool wants_changes() const override { return observer_count_.load() > 0; }
  void pod_changed(const ports::PodRecord& record) override;

 private:
  class Watch;
  void run(const std::stop_token& stop, PodLoopOutputs outputs);
  template <typename Answer>
  [[nodiscard]] std::future<Answer> ask(Answer (PodLoop::*question)() const);
  void unwatch(uint64_t number);

  const Clock& clock_;
  Mutex mu_;
  ConditionVariable posted_;
  std::deque<Task> queue_ PINTLE_GUARDED_BY(mu_);
  bool stopped_ PINTLE_GUARDED_BY(mu_) = false;
  Mutex observers_mu_;  // held while observers are called, so that none is called after its end
  std::map<uint64_t, std::function<void(const ports::PodRecord&)>> observers_ PINTLE_GUARDED_BY(observers_mu_);
  uint64_t watches_ PINTLE_GUARDED_BY(observers_mu_) = 0;
  std::atomic<int> observer_count_{0};
  std::jthread thread_;
};

}  // namespace pintle::reconcile
