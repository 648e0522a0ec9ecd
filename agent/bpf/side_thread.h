// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A thread that begins on another processor than its starter's, where there is one: a scheduler often begins a thread where it was made,
// and what was to be done at once is then done one after the other. Thread rule: one owner.
#pragma once

#include <functional>

#include <pthread.h>

namespace pintle::bpf {

class SideThread {
 public:
  SideThread() = default;
  ~SideThread() { join(); }
  SideThread(const SideThread&) = delete;
  SideThread& operator=(const SideThread&) = delete;

  // false: none could be made. REQUIRES: not running().
  [[nodiscard]] bool start(std::function<void()> work);
  [[nodiscard]] bool running() const { return running_; }
  void join();

 private:
  static void* run(void* self);
  std::function<void()> work_;
  pthread_t thread_{};
  bool running_ = false;
};

}  // namespace pintle::bpf
