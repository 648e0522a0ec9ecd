// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The patches that the API takes, applied to raw objects: JSON patch, JSON merge patch, and strategic merge patch with the
// merge keys of the kinds served here. Pure; errors are 400, 415 or 422.
#pragma once

#include <string_view>

#include "standalone/api_error.h"
#include "standalone/json.h"

namespace pintle::standalone {

// By Content-Type. Server-side apply is refused with 415 and what to use instead.
[[nodiscard]] ApiResult<Json> apply_patch(const Json& object, std::string_view content_type, const Json& patch);

// REQUIRES: both are objects. strategic_merge.cpp.
[[nodiscard]] ApiResult<Json> strategic_merge(const Json& object, const Json& patch);

}  // namespace pintle::standalone
