// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "server/cri_log_line.h"

namespace pintle::server {
namespace {

std::optional<std::string_view> next_word(std::string_view& rest) {
  const size_t end = rest.find(' ');
  if (end == std::string_view::npos || end == 0) return std::nullopt;
  const auto word = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return word;
}

}  // namespace

std::optional<CriLogLine> parse_cri_log_line(std::string_view line) {
  CriLogLine parsed;
  const auto timestamp = next_word(line);
  if (!timestamp || timestamp->size() < 20 || (*timestamp)[4] != '-' || (*timestamp)[10] != 'T') return std::nullopt;
  const auto stream = next_word(line);
  if (!stream || (*stream != "stdout" && *stream != "stderr")) return std::nullopt;
  // Tags are separated by colons, the first one says partial or full. An empty text may come without its blank.
  std::string_view tags = line;
  if (const size_t end = line.find(' '); end == std::string_view::npos) {
    line = {};
  } else {
    tags = line.substr(0, end);
    line.remove_prefix(end + 1);
  }
  const auto first = tags.substr(0, tags.find(':'));
  if (first != "P" && first != "F") return std::nullopt;
  parsed.timestamp = *timestamp;
  parsed.stream = *stream;
  parsed.partial = first == "P";
  parsed.text = line;
  return parsed;
}

}  // namespace pintle::server
