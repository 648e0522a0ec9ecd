// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One line of a CRI log file: "2026-01-02T03:04:05.678901234Z stdout F text". Pure.
#pragma once

#include <optional>
#include <string_view>

namespace pintle::server {

struct CriLogLine {
  std::string_view timestamp, stream, text;  // into the parsed line
  bool partial = false;                      // the runtime cut a long line here; the next one goes on
};

// `line` without its newline. nullopt: not of this format.
[[nodiscard]] std::optional<CriLogLine> parse_cri_log_line(std::string_view line);

}  // namespace pintle::server
