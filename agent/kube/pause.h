// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A wait that a stop request ends at once, and the jitter of retries.
#pragma once

#include <stop_token>

#include "base/time.h"

namespace pintle::kube {

// False: stopped.
bool pause_for(Duration delay, std::stop_token stop);

// `delay` times a random factor in [1, 1 + spread). Thread-safe.
[[nodiscard]] Duration jittered(Duration delay, double spread);

}  // namespace pintle::kube
