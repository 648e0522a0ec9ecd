// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Numbers for people: ages as kubectl writes them, short spans, bytes. Pure.
#pragma once

#include <cstdint>
#include <string>

#include "base/time.h"

namespace pintle::ctl {

// "45s", "5m", "3m20s", "2d3h", "1y40d": two units at most, fewer as it grows. A moment in the future is "0s".
[[nodiscard]] std::string age(Duration since);
// "<unknown>" without a time, as kubectl.
[[nodiscard]] std::string age(int64_t then_nanos, Time now);
// Of a step: "0.8 ms", "120 ms", "1.2 s", "2m5s".
[[nodiscard]] std::string span(Duration duration);
// "512 B", "1.5 KiB", "20 MiB".
[[nodiscard]] std::string bytes(uint64_t count);
[[nodiscard]] Time time_of(int64_t nanos);

}  // namespace pintle::ctl
