// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The half of otlp_json.h that reads OTLP's JSON, strictly: what is not as the protocol has it makes the whole request null.
#pragma once

#include "fakes/otlp/otlp_json.h"

namespace pintle::fakes {

[[nodiscard]] nlohmann::json items_of_json(const CollectorRequest& request);

}  // namespace pintle::fakes
