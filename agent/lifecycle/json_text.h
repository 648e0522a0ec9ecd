// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The little JSON that goes into container annotations, written exactly as Go's encoding/json does. Writing only: reading JSON
// is codec's.
#pragma once

#include <string>
#include <string_view>

namespace pintle::lifecycle {

// Appends `text` as a quoted JSON string; <, > and & are escaped as Go does.
void append_json(std::string& out, std::string_view text);

}  // namespace pintle::lifecycle
