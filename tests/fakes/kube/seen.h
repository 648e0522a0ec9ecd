// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What a watcher has told so far, kept for a test that waits for a state of it. Thread rule: any thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>

#include "base/backoff.h"

namespace pintle::fakes {

// Of watchers in tests: they have no reason to be polite.
inline constexpr BackoffPolicy kNoPatience{std::chrono::milliseconds(5), std::chrono::milliseconds(20)};

template <typename State>
class Seen {
 public:
  template <typename Act>
  void change(const Act& act) {
    const std::lock_guard lock(mu_);
    act(state_);
    changed_.notify_all();
  }
  // False after 10 s. `done` must not call this object.
  template <typename Done>
  bool wait(const Done& done) {
    std::unique_lock lock(mu_);
    return changed_.wait_for(lock, std::chrono::seconds(10), [&] { return done(std::as_const(state_)); });
  }
  [[nodiscard]] State now() {
    const std::lock_guard lock(mu_);
    return state_;
  }

 private:
  std::mutex mu_;
  std::condition_variable changed_;
  State state_;
};

}  // namespace pintle::fakes
