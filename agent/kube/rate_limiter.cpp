// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/rate_limiter.h"

#include "kube/pause.h"

namespace pintle::kube {

Status RateLimiter::acquire(std::stop_token stop) {
  Duration delay{};
  {
    MutexLock lock(mu_);
    delay = bucket_.reserve(clock_.steady());
  }
  if (delay > Duration::zero() && !pause_for(delay, stop)) return fail(Code::kCancelled, "wait for the request rate limit: stopped");
  return {};
}

}  // namespace pintle::kube
