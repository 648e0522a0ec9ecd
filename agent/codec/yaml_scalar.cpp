// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/yaml_scalar.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <span>

#include <fmt/format.h>

namespace pintle::codec {
namespace {

constexpr std::string_view kTrue[] = {"y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"};
constexpr std::string_view kFalse[] = {"n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"};
constexpr std::string_view kNull[] = {"", "~", "null", "Null", "NULL"};
constexpr std::string_view kNotFinite[] = {".nan",  ".NaN",  ".NAN",  ".inf",  ".Inf",  ".INF",
                                           "+.inf", "+.Inf", "+.INF", "-.inf", "-.Inf", "-.INF"};

bool among(std::string_view text, std::span<const std::string_view> names) { return std::ranges::find(names, text) != names.end(); }

Node scalar(Node::Kind kind, std::string text) {
  Node node;
  node.kind = kind;
  node.text = std::move(text);
  return node;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Go's ParseInt with base 0: 0x, 0o, 0b and the leading zero of octals.
bool integer_text(std::string_view text, std::string& out) {
  bool negative = false;
  if (!text.empty() && (text[0] == '+' || text[0] == '-')) {
    negative = text[0] == '-';
    text.remove_prefix(1);
  }
  int base = 10;
  if (text.size() > 1 && text[0] == '0') {
    const char mark = text[1];
    base = mark == 'x' || mark == 'X' ? 16 : mark == 'b' || mark == 'B' ? 2 : 8;
    text.remove_prefix(base != 8 || mark == 'o' || mark == 'O' ? 2 : 1);
  }
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
  if (text.empty() || error != std::errc{} || end != text.data() + text.size()) return false;
  if (negative && value > uint64_t{1} << 63U) return false;
  out = negative && value != 0 ? fmt::format("-{}", value) : fmt::format("{}", value);
  return true;
}

// [-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?, then written as JSON has it.
bool float_text(std::string_view text, std::string& out) {
  size_t pos = 0;
  const auto digits = [&] {
    const size_t start = pos;
    while (pos < text.size() && is_digit(text[pos])) ++pos;
    return text.substr(start, pos - start);
  };
  bool negative = false;
  if (pos < text.size() && (text[pos] == '+' || text[pos] == '-')) negative = text[pos++] == '-';
  std::string_view whole = digits();
  std::string_view fraction;
  if (pos < text.size() && text[pos] == '.') {
    ++pos;
    fraction = digits();
  }
  if (whole.empty() && fraction.empty()) return false;
  std::string exponent;
  if (pos < text.size() && (text[pos] == 'e' || text[pos] == 'E')) {
    ++pos;
    exponent = "e";
    if (pos < text.size() && (text[pos] == '+' || text[pos] == '-')) exponent += text[pos++];
    const auto power = digits();
    if (power.empty()) return false;
    exponent += power;
  }
  if (pos != text.size()) return false;
  while (whole.size() > 1 && whole[0] == '0') whole.remove_prefix(1);
  out = fmt::format("{}{}{}{}{}", negative ? "-" : "", whole.empty() ? "0" : whole, fraction.empty() ? "" : ".", fraction, exponent);
  double value = 0;
  return std::from_chars(out.data(), out.data() + out.size(), value).ec == std::errc{} && std::isfinite(value);
}

bool looks_numeric(std::string_view text) {
  return !text.empty() && (is_digit(text[0]) || text[0] == '+' || text[0] == '-' || text[0] == '.');
}

}  // namespace

Result<Node> resolve_plain_scalar(std::string_view text) {
  if (among(text, kNull)) return scalar(Node::Kind::kNull, {});
  if (among(text, kTrue)) return scalar(Node::Kind::kBool, std::string(text));
  if (among(text, kFalse)) return scalar(Node::Kind::kBool, std::string(text));
  if (!looks_numeric(text)) return scalar(Node::Kind::kString, std::string(text));
  if (among(text, kNotFinite)) return fail(Code::kInvalid, fmt::format("'{}' can't be written in JSON; quote it if it is a string", text));
  std::string plain(text);
  std::erase(plain, '_');
  std::string out;
  if (integer_text(plain, out)) return scalar(Node::Kind::kInteger, std::move(out));
  if (float_text(plain, out)) {
    const bool whole = out.find_first_of(".e") == std::string::npos;
    return scalar(whole ? Node::Kind::kInteger : Node::Kind::kFloat, std::move(out));
  }
  return scalar(Node::Kind::kString, std::string(text));
}

bool is_plain_string(std::string_view text) {
  const auto node = resolve_plain_scalar(text);
  return node.has_value() && node->is_string();
}

}  // namespace pintle::codec
