// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Client-side limit of requests: TokenBucket is the arithmetic (a value, `now` is an argument), RateLimiter shares one
// among connections and threads. Requests are served in the order in which they asked.
#pragma once

#include <algorithm>
#include <stop_token>

#include "base/mutex.h"
#include "base/result.h"
#include "base/time.h"

namespace pintle::kube {

class TokenBucket {
 public:
  TokenBucket(double per_second, double burst) : per_second_(per_second), burst_(burst), tokens_(burst) {}

  // Takes a token now or in advance; returns how long to wait before using it.
  [[nodiscard]] Duration reserve(SteadyTime now) {
    refill(now);
    tokens_ -= 1;
    if (tokens_ >= 0) return Duration::zero();
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(-tokens_ / per_second_));
  }
  // Takes a token only if there is one.
  [[nodiscard]] bool try_take(SteadyTime now) {
    refill(now);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }

 private:
  void refill(SteadyTime now) {
    if (last_ == SteadyTime{}) last_ = now;
    const std::chrono::duration<double> passed = now - last_;
    if (passed.count() > 0) tokens_ = std::min(burst_, tokens_ + passed.count() * per_second_);
    last_ = std::max(last_, now);
  }
  double per_second_, burst_, tokens_;
  SteadyTime last_{};
};

class RateLimiter {
 public:
  RateLimiter(const Clock& clock, double per_second, double burst) : clock_(clock), bucket_(per_second, burst) {}
  // Blocks until it is the caller's turn. kCancelled by `stop`.
  [[nodiscard]] Status acquire(std::stop_token stop);

 private:
  const Clock& clock_;
  Mutex mu_;
  TokenBucket bucket_ PINTLE_GUARDED_BY(mu_);
};

}  // namespace pintle::kube
