// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What a collector received, as JSON for tests to look at: attributes as plain objects, ids in hex. Not OTLP's JSON encoding.
#pragma once

#include <string>

#include <nlohmann/json.hpp>

#include "fakes/otlp/fake_collector.h"

namespace pintle::fakes {

// A list of spans, points or records, each with "resource" and "scope". Null if the bytes are none of it.
[[nodiscard]] nlohmann::json to_json(const CollectorRequest& request);

}  // namespace pintle::fakes
