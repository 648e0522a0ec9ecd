// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The rules of object metadata: names, uids, generated names, and what an update may not touch. Pure but for randomness.
#pragma once

#include <string>
#include <string_view>

#include "base/time.h"
#include "standalone/api_error.h"

namespace pintle::standalone {

[[nodiscard]] std::string random_uid();
[[nodiscard]] std::string random_hex(size_t bytes);

// Checks and completes metadata of a new object in place: name, namespace, uid, creation time; drops what only the API sets.
[[nodiscard]] ApiResult<void> start_metadata(const ResourceType& type, const std::string& namespace_, Time now, Json& object);
// Keeps what an update may not change; 409 for a foreign uid or resourceVersion.
[[nodiscard]] ApiResult<void> keep_metadata(const ResourceType& type, const Json& before, Json& after);

}  // namespace pintle::standalone
