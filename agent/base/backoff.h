// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Exponential back-off as a value: no clock, no thread. The caller adds jitter from its own source of chance.
#pragma once

#include <algorithm>

#include "base/time.h"

namespace pintle {

struct BackoffPolicy {
  Duration initial;
  Duration max;
};

class Backoff {
 public:
  explicit Backoff(BackoffPolicy policy) : policy_(policy) {}

  // The delay to wait now; the following one is twice as long, up to the maximum.
  [[nodiscard]] Duration next() {
    const Duration delay = current_ == Duration::zero() ? policy_.initial : current_;
    current_ = std::min(delay * 2, policy_.max);
    return std::min(delay, policy_.max);
  }
  void reset() { current_ = Duration::zero(); }

 private:
  BackoffPolicy policy_;
  Duration current_{};
};

}  // namespace pintle
