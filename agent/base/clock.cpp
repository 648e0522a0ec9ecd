// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/time.h"

namespace pintle {

Time SystemClock::now() const { return std::chrono::time_point_cast<Duration>(std::chrono::system_clock::now()); }
SteadyTime SystemClock::steady() const { return std::chrono::time_point_cast<Duration>(std::chrono::steady_clock::now()); }

}  // namespace pintle
