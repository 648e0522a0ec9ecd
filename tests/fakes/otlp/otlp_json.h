// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What a collector received, in protobuf or in OTLP's JSON, as JSON for tests to look at, the same for both: attributes as plain
// objects, ids in hex, numbers as numbers.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "fakes/otlp/fake_collector.h"

namespace pintle::fakes {

// A list of spans, points or records, each with "resource" and "scope". Null if the bytes are none of it.
[[nodiscard]] nlohmann::json to_json(const CollectorRequest& request);

}  // namespace pintle::fakes
