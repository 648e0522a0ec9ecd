// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The typed reader over a document tree: an object's decode is a flat list of `fields("name", out.name)`.
// A null counts as absent. What is wrong is collected in the ReadLog with origin, line and field path; reading goes on,
// so that one pass names every mistake. Names that no call asked for are unknown fields (see DecodeOptions).
// New types join by an overload `void read(const Cursor&, T&)` in this namespace. Not thread-safe; never throws.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/quantity.h"
#include "base/result.h"
#include "base/time.h"
#include "codec/decode_error.h"
#include "codec/document.h"

namespace pintle::codec {

class ReadLog {
 public:
  static constexpr size_t kMaxErrors = 20;
  explicit ReadLog(DecodeOptions options) : options_(std::move(options)) {}

  [[nodiscard]] const DecodeOptions& options() const { return options_; }
  [[nodiscard]] bool strict() const { return options_.unknown_fields == UnknownFields::kRefuse; }
  void add(int line, const std::string& path, std::string_view problem);
  [[nodiscard]] bool empty() const { return errors_.empty(); }
  [[nodiscard]] std::vector<Error> take_errors() { return std::move(errors_); }
  // The first error, with the number of the others. REQUIRES: !empty().
  [[nodiscard]] Error first_error() const;

 private:
  const DecodeOptions options_;
  std::vector<Error> errors_;
  size_t dropped_ = 0;
};

// A node and the way to it. Lives on the stack of its reader; must not outlive its parent.
class Cursor {
 public:
  Cursor(ReadLog& log, const Node& root) : log_(log), node_(root) {}
  Cursor(const Cursor& parent, const Node& node, std::string_view name) : log_(parent.log_), node_(node), parent_(&parent), name_(name) {}
  Cursor(const Cursor& parent, const Node& node, size_t index) : log_(parent.log_), node_(node), parent_(&parent), index_(index) {}

  [[nodiscard]] const Node& node() const { return node_; }
  [[nodiscard]] ReadLog& log() const { return log_; }
  [[nodiscard]] std::string path() const;
  void error(std::string_view problem) const { log_.add(node_.line, path(), problem); }
  // "expected a string, found the number 8080 (quote it: \"8080\")".
  void expected(std::string_view what) const;

 private:
  ReadLog& log_;
  const Node& node_;
  const Cursor* parent_ = nullptr;
  std::string_view name_;
  std::optional<size_t> index_;
};

void read(const Cursor& cursor, std::string& out);
void read(const Cursor& cursor, bool& out);
void read(const Cursor& cursor, int32_t& out);
void read(const Cursor& cursor, int64_t& out);
void read(const Cursor& cursor, uint64_t& out);
void read(const Cursor& cursor, double& out);
void read(const Cursor& cursor, Quantity& out);
void read(const Cursor& cursor, Time& out);      // RFC 3339
void read(const Cursor& cursor, Duration& out);  // Go's text: "1m30s"

// One of several names. `names` are offered in the error.
template <typename T>
using Names = std::span<const std::pair<std::string_view, T>>;
[[nodiscard]] std::optional<size_t> read_choice(const Cursor& cursor, std::span<const std::string_view> names);
template <typename T, size_t N>
void read_name(const Cursor& cursor, T& out, const std::pair<std::string_view, T> (&names)[N]) {
  std::string_view texts[N];
  for (size_t i = 0; i < N; ++i) texts[i] = names[i].first;
  if (const auto at = read_choice(cursor, texts)) out = names[*at].second;
}
// The same for an enum with a to_string.
template <typename T>
void read_enum(const Cursor& cursor, T& out, std::initializer_list<T> values) {
  std::vector<std::string_view> texts;
  for (const T value : values) texts.push_back(to_string(value));
  if (const auto at = read_choice(cursor, texts)) out = values.begin()[*at];
}

template <typename T>
void read(const Cursor& cursor, std::optional<T>& out) {
  read(cursor, out.emplace());
}
template <typename T>
void read(const Cursor& cursor, std::vector<T>& out) {
  if (!cursor.node().is_list()) return cursor.expected("a list");
  out.clear();
  out.reserve(cursor.node().children.size());
  for (size_t i = 0; i < cursor.node().children.size(); ++i) {
    const Cursor element(cursor, cursor.node().children[i], i);
    if (element.node().is_null()) {
      element.expected("a value");
      continue;
    }
    read(element, out.emplace_back());
  }
}
template <typename T>
void read(const Cursor& cursor, std::map<std::string, T>& out) {
  if (!cursor.node().is_map()) return cursor.expected("a map");
  out.clear();
  for (const auto& child : cursor.node().children) {
    T& value = out[child.key];
    if (!child.is_null()) read(Cursor(cursor, child, child.key), value);
  }
}

// One object's fields. Reports a node that is no map, and at its end the names that nobody asked for.
class Fields {
 public:
  explicit Fields(const Cursor& cursor);
  ~Fields();
  Fields(const Fields&) = delete;
  Fields& operator=(const Fields&) = delete;

  template <typename T>
  void operator()(std::string_view name, T& out) {
    if (const Node* child = find(name)) read(Cursor(cursor_, *child, name), out);
  }
  // As above with the reading given: `parse(const Cursor&)`.
  template <typename Parse>
  void with(std::string_view name, Parse&& parse) {
    if (const Node* child = find(name)) std::forward<Parse>(parse)(Cursor(cursor_, *child, name));
  }
  template <typename T>
  void required(std::string_view name, T& out) {
    if (const Node* child = find(name)) return read(Cursor(cursor_, *child, name), out);
    missing(name);
  }
  // Known to the API, not kept here: whole subtrees pass unread.
  void ignore(std::initializer_list<std::string_view> names) { known_.insert(known_.end(), names); }
  // Null if absent or null. Marks the name as known.
  [[nodiscard]] const Node* find(std::string_view name);
  // No unknown-field check for this object.
  void accept_rest() { checked_ = false; }
  [[nodiscard]] const Cursor& cursor() const { return cursor_; }

 private:
  void missing(std::string_view name) const;

  const Cursor& cursor_;
  bool checked_ = true;
  std::vector<std::string_view> known_;
};

// Reads a whole tree into `out`; the first error, with the number of the others, if there was any.
template <typename T>
[[nodiscard]] Status read_document(const Node& root, const DecodeOptions& options, T& out) {
  ReadLog log(options);
  read(Cursor(log, root), out);
  if (!log.empty()) return std::unexpected(log.first_error());
  return {};
}

}  // namespace pintle::codec
