// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The header Retry-After (RFC 9110, 10.2.3): seconds, or a date of its preferred form. Pure.
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/time.h"

namespace pintle::kube {

// At most five minutes; a date that has passed is zero. nullopt: neither of the two.
[[nodiscard]] std::optional<std::chrono::seconds> parse_retry_after(const std::string& text, Time now);

}  // namespace pintle::kube
