// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Reads single values out of the JSON that runtimes put under "info" in a verbose ContainerStatus. Not a JSON parser: it
// walks strings and nesting only as far as needed to tell a top-level key from text that looks like one, so that a document
// of tens of kilobytes costs no allocation. Thread rule: pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace pintle::cri {

// The value of the top-level key "pid"; nullopt when absent, not a positive number, or the text is no object.
[[nodiscard]] std::optional<int64_t> find_pid(std::string_view info_json);
// The value of the top-level key "sandboxID"; empty when absent or no plain string.
[[nodiscard]] std::string_view find_sandbox_id(std::string_view info_json);

}  // namespace pintle::cri
