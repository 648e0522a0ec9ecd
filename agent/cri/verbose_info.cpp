// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cri/verbose_info.h"

#include <charconv>

namespace pintle::cri {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

// REQUIRES: text[pos] is the opening quote. The position after the closing one, or npos.
size_t skip_string(std::string_view text, size_t pos) {
  for (++pos; pos < text.size(); ++pos) {
    if (text[pos] == '\\') {
      ++pos;
    } else if (text[pos] == '"') {
      return pos + 1;
    }
  }
  return std::string_view::npos;
}

// The text from the first character of the value of top-level key `quoted_key` on; empty when there is none.
std::string_view value_of(std::string_view text, std::string_view quoted_key) {
  int depth = 0;
  for (size_t pos = 0; pos < text.size();) {
    const char c = text[pos];
    if (c != '"') {
      if (c == '{' || c == '[') ++depth;
      if ((c == '}' || c == ']') && --depth <= 0) return {};
      ++pos;
      continue;
    }
    const size_t end = skip_string(text, pos);
    if (end == std::string_view::npos) return {};
    const bool named = depth == 1 && text.substr(pos, end - pos) == quoted_key;
    pos = end;
    if (!named) continue;
    pos = text.find_first_not_of(kSpace, pos);
    if (pos == std::string_view::npos) return {};
    if (text[pos] != ':') continue;  // a value that reads like the key
    pos = text.find_first_not_of(kSpace, pos + 1);
    return pos == std::string_view::npos ? std::string_view{} : text.substr(pos);
  }
  return {};
}

}  // namespace

std::optional<int64_t> find_pid(std::string_view info_json) {
  const std::string_view value = value_of(info_json, "\"pid\"");
  int64_t pid = 0;
  const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), pid);
  if (error != std::errc{} || pid <= 0 || end == value.data() + value.size()) return std::nullopt;
  return *end == ',' || *end == '}' || kSpace.find(*end) != std::string_view::npos ? std::optional{pid} : std::nullopt;
}

std::string_view find_sandbox_id(std::string_view info_json) {
  const std::string_view value = value_of(info_json, "\"sandboxID\"");
  if (value.empty() || value.front() != '"') return {};
  const size_t end = skip_string(value, 0);
  if (end == std::string_view::npos) return {};
  const std::string_view id = value.substr(1, end - 2);
  return id.find('\\') == std::string_view::npos ? id : std::string_view{};
}

}  // namespace pintle::cri
