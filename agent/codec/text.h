// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Small text work that every decoder shares: UTF-8, base64, and the nearest known name for a typo.
// Pure functions, any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace pintle::codec {

// Strict: no surrogates, no overlong forms, nothing past U+10FFFF. The offset of the first bad byte, or nullopt.
[[nodiscard]] std::optional<size_t> find_bad_utf8(std::string_view text);
// Each bad byte as '?'.
[[nodiscard]] std::string as_utf8(std::string text);

// RFC 4648 with padding; line breaks are allowed, as in a Secret written by hand. nullopt for anything else.
[[nodiscard]] std::optional<std::string> decode_base64(std::string_view text);
[[nodiscard]] std::string encode_base64(std::string_view bytes);

// The known name that `typo` most likely meant, or empty: at most a third of its letters may differ.
[[nodiscard]] std::string_view nearest_name(std::string_view typo, std::span<const std::string_view> known);

}  // namespace pintle::codec
