// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The type of a plain YAML scalar, by the rules that kubectl's YAML reader uses (YAML 1.1 as go-yaml v2 reads it).
// Pure functions.
#pragma once

#include <string_view>

#include "base/result.h"
#include "codec/document.h"

namespace pintle::codec {

// Kind and text; kInvalid for values that JSON can't hold (.inf, .nan).
[[nodiscard]] Result<Node> resolve_plain_scalar(std::string_view text);
// Whether a plain scalar with this text would be read as a string.
[[nodiscard]] bool is_plain_string(std::string_view text);

}  // namespace pintle::codec
