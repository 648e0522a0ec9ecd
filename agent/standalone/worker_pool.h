// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Threads for connections: one is started when a task comes and none is idle, up to a bound, and ends when it was idle for
// a while. Every connection holds a thread while it is open, so the number follows the number of clients.
// Thread rule: any thread. Tasks must end soon after the owner has asked their connections to; the destructor waits.
#pragma once

#include <chrono>
#include <deque>
#include <functional>
#include <thread>
#include <vector>

#include "base/mutex.h"

namespace pintle::standalone {

class WorkerPool {
 public:
  struct Limits {
    size_t most_threads = 256;
    std::chrono::milliseconds idle{10'000};
  };
  WorkerPool() : WorkerPool(Limits()) {}
  explicit WorkerPool(Limits limits) : limits_(limits) {}
  ~WorkerPool();
  WorkerPool(const WorkerPool&) = delete;
  WorkerPool& operator=(const WorkerPool&) = delete;

  // false: all threads are busy and no more may be started; the task was not taken.
  [[nodiscard]] bool submit(std::function<void()> task);
  [[nodiscard]] size_t threads() const;

 private:
  void work();
  void reap() PINTLE_REQUIRES(mu_);

  const Limits limits_;
  mutable Mutex mu_;
  ConditionVariable changed_;
  std::deque<std::function<void()>> tasks_ PINTLE_GUARDED_BY(mu_);
  std::vector<std::thread> threads_ PINTLE_GUARDED_BY(mu_);
  std::vector<std::thread::id> finished_ PINTLE_GUARDED_BY(mu_);
  size_t idle_ PINTLE_GUARDED_BY(mu_) = 0;
  bool stopping_ PINTLE_GUARDED_BY(mu_) = false;
};

}  // namespace pintle::standalone
