// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the API does to network policies, services and endpoint slices beyond storing them: defaults and checks. A service gets no cluster
// IP of its own accord: nothing here would translate it; one that is given is kept. Pure.
#pragma once

#include "standalone/api_error.h"

namespace pintle::standalone {

// Fills in what an API server would, then checks; other kinds pass untouched. 422 for values, 400 for unknown fields when `strict`.
[[nodiscard]] ApiResult<void> check_network_object(const ResourceType& type, Json& object, bool strict);

}  // namespace pintle::standalone
