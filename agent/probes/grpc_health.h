// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// grpc.health.v1.Health/Check, plaintext (facts row 12.12). Thread rule: any thread.
#pragma once

#include <chrono>
#include <string>

#include "base/result.h"

namespace pintle::probes {

enum class Serving { kUnknown, kServing, kNotServing, kServiceUnknown };
// kUnavailable with the transport's or the service's error.
[[nodiscard]] Result<Serving> check_health(const std::string& address, const std::string& service, std::chrono::seconds timeout);

}  // namespace pintle::probes
