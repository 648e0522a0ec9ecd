// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A JSON or YAML document as a tree that knows its lines, free of any parser's types. Typed decoding is reader.h's.
// YAML is read as sigs.k8s.io/yaml (kubectl) reads it: YAML 1.1 booleans (yes, on, y …), octal 010, no sexagesimals,
// dates as strings, "<<" merges, aliases expanded. Not a rule of ours but of those that manifests were written for.
// Limits: see the constants. Errors: kInvalid, "origin:line: …". Never throws. Pure functions, any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace pintle::codec {

inline constexpr size_t kMaxJsonBytes = size_t{64} << 20U;
inline constexpr size_t kMaxManifestBytes = size_t{10} << 20U;
inline constexpr size_t kMaxDepth = 64;
inline constexpr size_t kMaxJsonNodes = 2'000'000;
inline constexpr size_t kMaxManifestNodes = 1'000'000;          // after aliases are expanded
inline constexpr size_t kMaxExpandedBytes = size_t{64} << 20U;  // of scalars, after aliases are expanded

struct Node {
  enum class Kind : uint8_t { kNull, kBool, kInteger, kFloat, kString, kList, kMap };
  Kind kind = Kind::kNull;
  int line = 1;      // in a map: the line of the name
  std::string key;   // in a map: the name; else empty
  std::string text;  // scalars: a boolean as it was written ("off"), a number as JSON writes it, or the string itself
  std::vector<Node> children;

  [[nodiscard]] const Node* find(std::string_view name) const;
  [[nodiscard]] bool is_map() const { return kind == Kind::kMap; }
  [[nodiscard]] bool is_list() const { return kind == Kind::kList; }
  [[nodiscard]] bool is_null() const { return kind == Kind::kNull; }
  [[nodiscard]] bool is_true() const;  // REQUIRES: kind is kBool
  [[nodiscard]] bool is_string() const { return kind == Kind::kString; }
};
[[nodiscard]] std::string_view to_string(Node::Kind kind);  // "a string", "a list" …: for messages

// "origin:line: problem"; without an origin only the problem.
[[nodiscard]] Error document_error(const std::string& origin, int line, std::string_view problem);

// One JSON value and nothing after it.
[[nodiscard]] Result<Node> parse_json(std::string_view text, const std::string& origin);

// All documents of a YAML stream or of a JSON stream (told apart by the first character; an origin that ends in .json
// is JSON only). Empty documents are left out. A bad document costs only itself.
struct Documents {
  std::vector<Node> roots;
  std::vector<Error> errors;
};
[[nodiscard]] Documents parse_documents(std::string_view text, const std::string& origin);

// `indent` 0: one line.
[[nodiscard]] std::string to_json(const Node& node, int indent = 0);
[[nodiscard]] std::string to_yaml(const Node& node);

}  // namespace pintle::codec
