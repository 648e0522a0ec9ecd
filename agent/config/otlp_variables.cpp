// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "config/otlp_variables.h"

#include <algorithm>
#include <charconv>

namespace pintle::config {
namespace {

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

// "%20" and the like.
std::optional<std::string> decoded(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out.push_back(text[i]);
      continue;
    }
    unsigned value = 0;
    if (i + 2 >= text.size()) return std::nullopt;
    const char* const end = text.data() + i + 3;
    if (const auto [at, error] = std::from_chars(text.data() + i + 1, end, value, 16); error != std::errc{} || at != end)
      return std::nullopt;
    out.push_back(static_cast<char>(value));
    i += 2;
  }
  return out;
}

// The items between commas that are not empty.
std::vector<std::string_view> items_of(std::string_view text) {
  std::vector<std::string_view> out;
  while (!text.empty()) {
    const size_t comma = text.find(',');
    if (const auto item = trimmed(text.substr(0, comma)); !item.empty()) out.push_back(item);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
  }
  return out;
}

// "a=b,c=d" with values as in a URL (W3C baggage).
Result<model::StringMap> parse_pairs(std::string_view text) {
  model::StringMap pairs;
  int number = 0;
  for (const auto item : items_of(text)) {
    ++number;
    const size_t equals = item.find('=');
    const auto key = equals == std::string_view::npos ? std::string_view() : trimmed(item.substr(0, equals));
    const auto value = decoded(trimmed(item.substr(equals == std::string_view::npos ? item.size() : equals + 1)));
    // Not told: it may be a secret.
    const auto is_control = [](unsigned char c) { return c < ' ' || c == 0x7F; };
    if (key.empty() || !value || std::ranges::any_of(*value, is_control))
      return fail(Code::kInvalid, fmt::format("item {} is not KEY=VALUE", number));
    pairs[std::string(key)] = *value;
  }
  return pairs;
}

// nullopt: it is no number, or has something behind it.
template <typename T>
std::optional<T> parse_number(std::string_view text) {
  T number{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

int64_t millis(Duration span) { return std::chrono::duration_cast<std::chrono::milliseconds>(span).count(); }

}  // namespace

std::string to_lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}
std::string to_upper(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return out;
}

std::optional<bool> OtlpVariables::boolean(const std::string& name) const {
  const auto given = text(name);
  if (given.empty()) return std::nullopt;
  const auto value = to_lower(given);
  if (value != "true" && value != "false") ignore(name, fmt::format("'{}' is not true or false", given));
  return value == "true";  // what is neither counts as false, by the specification
}

std::optional<Duration> OtlpVariables::span(const std::string& name, Duration least) const {
  const auto given = text(name);
  if (given.empty()) return std::nullopt;
  const auto number = parse_number<int64_t>(given);
  if (number && *number >= millis(least) && *number <= millis(kLongestTimeout)) return std::chrono::milliseconds(*number);
  ignore(name, fmt::format("'{}' is not a number of milliseconds within {} and {}", given, millis(least), millis(kLongestTimeout)));
  return std::nullopt;
}

std::optional<Duration> OtlpVariables::timeout(const std::string& name) const {
  if (parse_number<int64_t>(text(name)) == 0) return Duration::zero();
  return span(name, std::chrono::milliseconds(100));
}

std::optional<int32_t> OtlpVariables::count(const std::string& name) const {
  const auto given = text(name);
  if (given.empty()) return std::nullopt;
  if (const auto number = parse_number<int32_t>(given); number && *number >= 1) return number;
  ignore(name, fmt::format("'{}' is not a number of 1 or more", given));
  return std::nullopt;
}

std::optional<double> OtlpVariables::share(const std::string& name) const {
  const auto given = text(name);
  if (given.empty()) return std::nullopt;
  if (const auto number = parse_number<double>(given); number && *number >= 0 && *number <= 1) return number;
  ignore(name, fmt::format("'{}' is not a share; use 0.0 to 1.0", given));
  return std::nullopt;
}

std::optional<model::StringMap> OtlpVariables::pairs(const std::string& name) const {
  const auto given = text(name);
  if (given.empty()) return std::nullopt;
  auto pairs = parse_pairs(given);
  if (pairs) return *std::move(pairs);
  ignore(name, pairs.error().message());
  return std::nullopt;
}

std::vector<std::string> OtlpVariables::list(const std::string& name) const {
  std::vector<std::string> out;
  const auto given = text(name);
  for (const auto item : items_of(given))
    if (auto small = to_lower(std::string(item)); std::ranges::find(out, small) == out.end()) out.push_back(std::move(small));
  return out;
}

}  // namespace pintle::config
