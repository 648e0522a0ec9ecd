// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/reader.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "codec/text.h"

namespace pintle::codec {
namespace {

constexpr size_t kQuoted = 60;  // bytes of a foreign value that an error repeats

std::string shortened(std::string_view text) {
  if (text.size() <= kQuoted) return std::string(text);
  size_t end = kQuoted;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0U) == 0x80U) --end;
  return std::string(text.substr(0, end)) + "…";
}

std::string describe(const Node& node) {
  switch (node.kind) {
    case Node::Kind::kBool: return fmt::format("the boolean {}", node.text);
    case Node::Kind::kInteger:
    case Node::Kind::kFloat: return fmt::format("the number {}", shortened(node.text));
    case Node::Kind::kString: return fmt::format("the string \"{}\"", shortened(node.text));
    default: return std::string(to_string(node.kind));
  }
}

template <typename T>
void read_integer(const Cursor& cursor, T& out) {
  const Node& node = cursor.node();
  if (node.kind != Node::Kind::kInteger) return cursor.expected("a whole number");
  T value = 0;
  const char* end = node.text.data() + node.text.size();
  const auto [at, error] = std::from_chars(node.text.data(), end, value);
  if (error == std::errc{} && at == end) {
    out = value;
    return;
  }
  cursor.error(
      fmt::format("{} is out of range ({} to {})", shortened(node.text), std::numeric_limits<T>::min(), std::numeric_limits<T>::max()));
}

bool text_of(const Cursor& cursor, std::string_view what, std::string_view& text) {
  if (!cursor.node().is_string()) {
    cursor.expected(what);
    return false;
  }
  text = cursor.node().text;
  return true;
}

}  // namespace

void ReadLog::add(int line, const std::string& path, std::string_view problem) {
  if (errors_.size() >= kMaxErrors) {
    ++dropped_;
    return;
  }
  errors_.push_back(document_error(options_.origin, line, path.empty() ? std::string(problem) : fmt::format("{}: {}", path, problem)));
}

Error ReadLog::first_error() const {
  Error error = errors_.front();
  const size_t others = errors_.size() - 1 + dropped_;
  if (others > 0) error.context += fmt::format(" (and {} more)", others);
  return error;
}

std::string Cursor::path() const {
  if (parent_ == nullptr) return {};
  std::string path = parent_->path();
  if (index_) return fmt::format("{}[{}]", path, *index_);
  const bool plain = name_.find_first_of("./[] ") == std::string_view::npos;
  if (!plain) return fmt::format("{}[{}]", path, shortened(name_));
  return path.empty() ? shortened(name_) : fmt::format("{}.{}", path, shortened(name_));
}

void Cursor::expected(std::string_view what) const {
  std::string fix;
  const bool number = node_.kind == Node::Kind::kInteger || node_.kind == Node::Kind::kFloat;
  if (what.starts_with("a string") && (number || node_.kind == Node::Kind::kBool))
    fix = fmt::format(" (quote it: \"{}\")", shortened(node_.text));
  const bool bool_text = node_.is_string() && (node_.text == "true" || node_.text == "false");
  const bool number_text = node_.is_string() && !node_.text.empty() && node_.text.find_first_not_of("0123456789") == std::string::npos;
  if ((what == "true or false" && bool_text) || (what == "a whole number" && number_text)) fix = " (remove the quotes)";
  error(fmt::format("expected {}, found {}{}", what, describe(node_), fix));
}

void read(const Cursor& cursor, std::string& out) {
  std::string_view text;
  if (text_of(cursor, "a string", text)) out = text;
}

void read(const Cursor& cursor, bool& out) {
  if (cursor.node().kind != Node::Kind::kBool) return cursor.expected("true or false");
  out = cursor.node().is_true();
}

void read(const Cursor& cursor, int32_t& out) { read_integer(cursor, out); }
void read(const Cursor& cursor, int64_t& out) { read_integer(cursor, out); }
void read(const Cursor& cursor, uint64_t& out) { read_integer(cursor, out); }

void read(const Cursor& cursor, double& out) {
  const Node& node = cursor.node();
  if (node.kind != Node::Kind::kInteger && node.kind != Node::Kind::kFloat) return cursor.expected("a number");
  double value = 0;
  if (std::from_chars(node.text.data(), node.text.data() + node.text.size(), value).ec != std::errc{})
    return cursor.error(fmt::format("{} is out of range", shortened(node.text)));
  out = value;
}

void read(const Cursor& cursor, Quantity& out) {
  const Node& node = cursor.node();
  // The API takes a bare number as the text of a quantity: "cpu: 2".
  if (!node.is_string() && node.kind != Node::Kind::kInteger && node.kind != Node::Kind::kFloat)
    return cursor.expected("a quantity (500m, 2, 64Mi)");
  if (node.text.size() > kQuoted)
    return cursor.error(fmt::format("'{}' is not a quantity (examples: 500m, 2, 64Mi, 1.5Gi, 1e3)", shortened(node.text)));
  auto parsed = Quantity::parse(node.text);
  if (!parsed) return cursor.error(parsed.error().context);
  out = *std::move(parsed);
}

void read(const Cursor& cursor, Time& out) {
  std::string_view text;
  if (!text_of(cursor, "a string with a time (2006-01-02T15:04:05Z)", text)) return;
  const auto parsed = parse_rfc3339(shortened(text));
  if (!parsed) return cursor.error(parsed.error().context);
  out = *parsed;
}

void read(const Cursor& cursor, Duration& out) {
  std::string_view text;
  if (!text_of(cursor, "a string with a duration (10s, 1m30s)", text)) return;
  const auto parsed = parse_duration(shortened(text));
  if (!parsed) return cursor.error(parsed.error().context);
  out = *parsed;
}

std::optional<size_t> read_choice(const Cursor& cursor, std::span<const std::string_view> names) {
  std::string_view text;
  if (!text_of(cursor, fmt::format("a string ({})", fmt::join(names, ", ")), text)) return std::nullopt;
  for (size_t i = 0; i < names.size(); ++i)
    if (names[i] == text) return i;
  const auto nearest = nearest_name(text, names);
  const std::string hint = nearest.empty() ? "" : fmt::format(" (did you mean '{}'?)", nearest);
  cursor.error(fmt::format("'{}' is not one of {}{}", shortened(text), fmt::join(names, ", "), hint));
  return std::nullopt;
}

Fields::Fields(const Cursor& cursor) : cursor_(cursor) {
  if (!cursor.node().is_map()) {
    cursor.expected("a map");
    checked_ = false;
  }
}

Fields::~Fields() {
  if (!checked_ || !cursor_.log().strict()) return;
  for (const auto& child : cursor_.node().children) {
    if (std::ranges::find(known_, child.key) != known_.end()) continue;
    const auto nearest = nearest_name(child.key, known_);
    const std::string hint = nearest.empty() ? "" : fmt::format(" (did you mean '{}'?)", nearest);
    Cursor(cursor_, child, child.key).error(fmt::format("unknown field{}", hint));
  }
}

const Node* Fields::find(std::string_view name) {
  known_.push_back(name);
  if (!cursor_.node().is_map()) return nullptr;
  const Node* child = cursor_.node().find(name);
  return child != nullptr && !child->is_null() ? child : nullptr;
}

void Fields::missing(std::string_view name) const {
  const std::string path = cursor_.path();
  if (cursor_.node().is_map())
    cursor_.log().add(cursor_.node().line, path.empty() ? std::string(name) : fmt::format("{}.{}", path, name), "is required");
}

}  // namespace pintle::codec
