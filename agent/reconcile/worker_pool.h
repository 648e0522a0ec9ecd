// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Threads on demand for calls that may block: a task never waits for another while the bound isn't reached, so one stuck call
// delays nobody else. Idle threads end by themselves. Not for work that must be in order.
// Thread rule: submit() from any thread, also from a task. The destructor waits for every task; cancel them first.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <string>

#include "base/mutex.h"
#include "base/time.h"

namespace pintle::reconcile {

struct WorkerPoolOptions {
  std::string name = "worker";  // of the threads, at most 15 bytes
  size_t max_threads = 256;
  std::chrono::milliseconds idle_timeout{10'000};
  // Only what is touched counts. Where glibc keeps ended threads' stacks (base/heap.h turns that off), it is up to 40 MiB of them with
  // all that they touched, some 20 KiB each: ten of these, where it would keep eighty of half a megabyte.
  size_t stack_bytes = size_t{4} << 20;
  std::function<void()> on_quiet;  // called when idle threads have ended and at most one is left: a burst is over
};

class WorkerPool {
 public:
  explicit WorkerPool(WorkerPoolOptions options) : options_(std::move(options)) {}
  ~WorkerPool() { shut_down(); }
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // Runs on some thread of the pool, at once unless all max_threads are busy. After shut_down() it is dropped.
  void submit(std::function<void()> task);
  // Waits until all tasks have ended; those not begun yet are dropped. Idempotent.
  void shut_down();

  [[nodiscard]] size_t threads();
  [[nodiscard]] size_t most_threads();  // the highest number so far

 private:
  void run();
  static void* entry(void* self);

  const WorkerPoolOptions options_;
  Mutex mu_;
  ConditionVariable work_, ended_;
  std::deque<std::function<void()>> queue_ PINTLE_GUARDED_BY(mu_);
  size_t threads_ PINTLE_GUARDED_BY(mu_) = 0;
  size_t idle_ PINTLE_GUARDED_BY(mu_) = 0;
  size_t most_ PINTLE_GUARDED_BY(mu_) = 0;
  bool stopping_ PINTLE_GUARDED_BY(mu_) = false;
};

}  // namespace pintle::reconcile
