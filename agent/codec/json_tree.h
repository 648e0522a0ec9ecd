// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// From nlohmann's SAX events to a Node tree with lines. Internal to codec: includes nlohmann/json.
// The parser pulls characters through JsonIterator, which is how the line of each event is known.
#pragma once

#include <cstddef>
#include <iterator>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "codec/document.h"

namespace pintle::codec {

struct JsonPosition {
  std::string_view text;
  size_t offset = 0;  // of the next character to read
  int line = 1;
  size_t line_start = 0;
  size_t previous_line_start = 0;

  // Numbers and errors are known one character late, which may be the line's end.
  [[nodiscard]] bool just_past_line() const { return offset > 0 && offset <= text.size() && text[offset - 1] == '\n'; }
  [[nodiscard]] int token_line() const { return just_past_line() ? line - 1 : line; }
  [[nodiscard]] size_t column() const { return offset - (just_past_line() ? previous_line_start : line_start); }
  void advance() {
    if (text[offset++] == '\n') {
      ++line;
      previous_line_start = line_start;
      line_start = offset;
    }
  }
};

// Input iterator over a shared position; the default-constructed one is the end.
class JsonIterator {
 public:
  using iterator_category = std::input_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  JsonIterator() = default;
  explicit JsonIterator(JsonPosition* position) : position_(position) {}
  reference operator*() const { return position_->text[position_->offset]; }
  JsonIterator& operator++() {
    position_->advance();
    return *this;
  }
  JsonIterator operator++(int) {
    JsonIterator before = *this;
    position_->advance();
    return before;
  }
  [[nodiscard]] bool at_end() const { return position_ == nullptr || position_->offset >= position_->text.size(); }
  bool operator==(const JsonIterator& other) const { return at_end() == other.at_end(); }

 private:
  JsonPosition* position_ = nullptr;
};

class TreeBuilder {
 public:
  explicit TreeBuilder(const JsonPosition& position) : position_(position) {}

  // What nlohmann calls; false stops the parser.
  bool null() { return scalar(Node::Kind::kNull, {}); }
  bool boolean(bool value) { return scalar(Node::Kind::kBool, value ? "true" : "false"); }
  bool number_integer(int64_t value) { return scalar(Node::Kind::kInteger, std::to_string(value)); }
  bool number_unsigned(uint64_t value) { return scalar(Node::Kind::kInteger, std::to_string(value)); }
  bool number_float(double, const std::string& text) { return scalar(Node::Kind::kFloat, text); }
  bool string(std::string& text) { return scalar(Node::Kind::kString, std::move(text)); }
  bool binary(nlohmann::json::binary_t&) { return false; }
  bool start_object(size_t) { return begin(Node::Kind::kMap); }
  bool key(std::string& text);
  bool end_object() { return end(); }
  bool start_array(size_t) { return begin(Node::Kind::kList); }
  bool end_array() { return end(); }
  bool parse_error(size_t offset, const std::string& token, const nlohmann::json::exception& error);

  [[nodiscard]] Node root() && { return std::move(root_); }
  [[nodiscard]] Error error(const std::string& origin) const { return document_error(origin, error_line_, error_); }

 private:
  bool begin(Node::Kind kind);
  bool end();
  bool scalar(Node::Kind kind, std::string text);
  bool add(Node node);
  void name(Node& node, int line);
  bool count();
  bool fail_at(int line, std::string problem);

  const JsonPosition& position_;
  Node root_;
  std::vector<Node> stack_;
  std::string key_;
  int key_line_ = 1;
  size_t nodes_ = 0;
  std::string error_;
  int error_line_ = 1;
};

enum class TrailingText { kRefuse, kLeave };
// Reads one value from `position` on and leaves it behind that value.
[[nodiscard]] Result<Node> parse_json_value(JsonPosition& position, const std::string& origin, TrailingText trailing);

// The second of two children with one key, or null.
[[nodiscard]] const Node* find_duplicate_key(const Node& map);

}  // namespace pintle::codec
