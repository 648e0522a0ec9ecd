// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A Clock that stands still until it is moved.
#pragma once

#include <atomic>

#include "base/time.h"

namespace pintle::standalone {

class ManualClock final : public Clock {
 public:
  [[nodiscard]] Time now() const override { return Time(Duration(1'767'355'200'000'000'000 + moved_.load())); }  // 2026-01-02T12:00:00Z
  [[nodiscard]] SteadyTime steady() const override { return SteadyTime(Duration(moved_.load())); }
  void advance(Duration by) { moved_ += by.count(); }

 private:
  std::atomic<int64_t> moved_ = 0;
};

}  // namespace pintle::standalone
