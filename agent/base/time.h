// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Wall time as Kubernetes and the CRI carry it, and the Clock by which everything outside the pure core
// learns it. Only clock.cpp reads the system's clocks; tests and the simulation own a virtual one.
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/result.h"

namespace pintle {

using Duration = std::chrono::nanoseconds;
using Time = std::chrono::sys_time<Duration>;
using SteadyTime = std::chrono::time_point<std::chrono::steady_clock, Duration>;

inline constexpr Time kNoTime{};

[[nodiscard]] std::string format_rfc3339(Time time);        // whole seconds, as metav1.Time
[[nodiscard]] std::string format_rfc3339_micro(Time time);  // microseconds, as metav1.MicroTime
[[nodiscard]] std::string format_rfc3339_nano(Time time);   // trailing zeros cut, as CRI logs
// kInvalid. Accepts fractions of any length and numeric offsets.
[[nodiscard]] Result<Time> parse_rfc3339(std::string_view text);
// Go's duration text: "1m30s", "150ms".
[[nodiscard]] Result<Duration> parse_duration(std::string_view text);
[[nodiscard]] std::string format_duration(Duration duration);

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Time now() const = 0;
  [[nodiscard]] virtual SteadyTime steady() const = 0;
};

class SystemClock final : public Clock {
 public:
  [[nodiscard]] Time now() const override;
  [[nodiscard]] SteadyTime steady() const override;
};

}  // namespace pintle
