// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/selector.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::ctl {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// At commas that are outside of parentheses.
std::vector<std::string_view> split(std::string_view text) {
  std::vector<std::string_view> pieces;
  int depth = 0;
  size_t begin = 0;
  for (size_t i = 0; i <= text.size(); ++i) {
    if (i < text.size() && text[i] == '(') ++depth;
    if (i < text.size() && text[i] == ')') --depth;
    if (i < text.size() && (text[i] != ',' || depth > 0)) continue;
    pieces.push_back(trimmed(text.substr(begin, i - begin)));
    begin = i + 1;
  }
  return pieces;
}

bool is_name(std::string_view text, bool may_be_empty) {
  if (text.empty()) return may_be_empty;
  return std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.' || c == '/';
  });
}

}  // namespace

Result<Selector::Rule> Selector::parse_rule(std::string_view text) {
  const auto bad = [&] {
    return fail(Code::kInvalid, fmt::format("selector '{}' is not one of a=b, a!=b, a, !a, 'a in (x,y)', 'a notin (x,y)'", text));
  };
  Rule rule;
  const auto with_values = [&](Rule::Kind kind, std::string_view key, std::vector<std::string_view> values) {
    rule.kind = kind;
    rule.key = trimmed(key);
    rule.values.assign(values.begin(), values.end());
  };
  const size_t open = text.find('(');
  if (const size_t in = text.find(" in "), notin = text.find(" notin "); open != std::string_view::npos && text.back() == ')') {
    const auto values = split(text.substr(open + 1, text.size() - open - 2));
    const auto gap = [&](size_t word, size_t length) {
      return word + length <= open && trimmed(text.substr(word + length, open - word - length)).empty();
    };
    if (notin != std::string_view::npos && gap(notin, 7))
      with_values(Rule::Kind::kNotIn, text.substr(0, notin), values);
    else if (in != std::string_view::npos && gap(in, 4))
      with_values(Rule::Kind::kIn, text.substr(0, in), values);
    else
      return bad();
  } else if (const size_t differs = text.find("!="); differs != std::string_view::npos) {
    with_values(Rule::Kind::kNotIn, text.substr(0, differs), {trimmed(text.substr(differs + 2))});
  } else if (const size_t equals = text.find('='); equals != std::string_view::npos) {
    const size_t value = equals + (text.substr(equals).starts_with("==") ? 2 : 1);
    with_values(Rule::Kind::kIn, text.substr(0, equals), {trimmed(text.substr(value))});
  } else if (text.starts_with('!')) {
    with_values(Rule::Kind::kMissing, text.substr(1), {});
  } else {
    with_values(Rule::Kind::kExists, text, {});
  }
  if (!is_name(rule.key, false) || !std::ranges::all_of(rule.values, [](const auto& value) { return is_name(value, true); })) return bad();
  return rule;
}

Result<Selector> Selector::parse(std::string_view text) {
  Selector selector;
  if (trimmed(text).empty()) return selector;
  for (const auto piece : split(text)) {
    PINTLE_ASSIGN_OR_RETURN(auto rule, parse_rule(piece));
    selector.rules_.push_back(std::move(rule));
  }
  return selector;
}

bool Selector::matches(const std::function<std::optional<std::string>(const std::string&)>& find) const {
  return std::ranges::all_of(rules_, [&](const Rule& rule) {
    const auto value = find(rule.key);
    const bool listed = value && std::ranges::find(rule.values, *value) != rule.values.end();
    switch (rule.kind) {
      case Rule::Kind::kIn: return listed;
      case Rule::Kind::kNotIn: return !listed;
      case Rule::Kind::kExists: return value.has_value();
      case Rule::Kind::kMissing: return !value.has_value();
    }
    return false;
  });
}

}  // namespace pintle::ctl
