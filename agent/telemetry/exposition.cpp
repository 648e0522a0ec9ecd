// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/exposition.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::telemetry {
namespace {

bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(std::string_view text) {
  return !text.empty() && is_letter(text.front()) && std::ranges::all_of(text, [](char c) { return is_letter(c) || is_digit(c); });
}

// In a help text quotes stay as they are.
std::string escaped(std::string_view text, bool quotes) {
  std::string out;
  for (const char c : text) {
    if (c == '\\')
      out += "\\\\";
    else if (c == '\n')
      out += "\\n";
    else if (c == '"' && quotes)
      out += "\\\"";
    else
      out.push_back(c);
  }
  return out;
}

std::string_view type_name(MetricType type) {
  switch (type) {
    case MetricType::kCounter: return "counter";
    case MetricType::kGauge: return "gauge";
    case MetricType::kSummary: return "summary";
  }
  return "untyped";
}

}  // namespace

void Exposition::family(std::string_view name, MetricType type, std::string_view help) {
  if (!is_name(name)) problems_.push_back(fmt::format("'{}' is no name of a metric", name));
  if ((type == MetricType::kCounter) != name.ends_with("_total")) problems_.push_back(fmt::format("'{}' is a {}", name, type_name(type)));
  if (!families_.emplace(name).second) problems_.push_back(fmt::format("family '{}' occurs twice", name));
  family_ = name;
  type_ = type;
  text_ += fmt::format("# HELP {} {}\n# TYPE {} {}\n", name, escaped(help, false), name, type_name(type));
}

void Exposition::sample(std::initializer_list<Label> labels, uint64_t value) { write_text({}, labels, fmt::format("{}", value)); }

void Exposition::summary(std::initializer_list<Label> labels, double sum, uint64_t count) {
  write("_sum", labels, sum);
  write_text("_count", labels, fmt::format("{}", count));
}

void Exposition::write(std::string_view suffix, std::initializer_list<Label> labels, double value) {
  write_text(suffix, labels, fmt::format("{}", value));
}

void Exposition::write_text(std::string_view suffix, std::initializer_list<Label> labels, std::string_view value) {
  if (family_.empty()) problems_.emplace_back("a sample stands before every family");
  if ((type_ == MetricType::kSummary) == suffix.empty()) problems_.push_back(fmt::format("'{}' is a {}", family_, type_name(type_)));
  std::string key = family_ + std::string(suffix);
  if (labels.size() != 0) {
    key.push_back('{');
    for (const auto& [name, text] : labels) {
      if (!is_name(name) || name.starts_with("__")) problems_.push_back(fmt::format("'{}' is no name of a label", name));
      key += fmt::format("{}{}=\"{}\"", key.back() == '{' ? "" : ",", name, escaped(text, true));
    }
    key.push_back('}');
  }
  text_ += fmt::format("{} {}\n", key, value);
  if (!series_.insert(std::move(key)).second) problems_.push_back(fmt::format("a series of '{}' occurs twice", family_));
}

}  // namespace pintle::telemetry
