// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Building and reading JSON trees for output, over codec's Node. Keys keep the order in which they were added.
#pragma once

#include <concepts>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "codec/document.h"

namespace pintle::ctl {

[[nodiscard]] inline codec::Node json_scalar(codec::Node::Kind kind, std::string text) {
  codec::Node node;
  node.kind = kind;
  node.text = std::move(text);
  return node;
}
[[nodiscard]] inline codec::Node json_string(std::string_view text) { return json_scalar(codec::Node::Kind::kString, std::string(text)); }
[[nodiscard]] inline codec::Node json_list(std::vector<codec::Node> items) {
  codec::Node node;
  node.kind = codec::Node::Kind::kList;
  node.children = std::move(items);
  return node;
}

class JsonObject {
 public:
  JsonObject() { node_.kind = codec::Node::Kind::kMap; }
  JsonObject& add(std::string key, codec::Node value) {
    value.key = std::move(key);
    node_.children.push_back(std::move(value));
    return *this;
  }
  JsonObject& add(std::string key, std::string_view value) { return add(std::move(key), json_string(value)); }
  JsonObject& add(std::string key, const char* value) { return add(std::move(key), json_string(value)); }
  JsonObject& add(std::string key, bool value) {
    return add(std::move(key), json_scalar(codec::Node::Kind::kBool, value ? "true" : "false"));
  }
  template <std::integral T>
    requires(!std::same_as<T, bool>)
  JsonObject& add(std::string key, T value) {
    return add(std::move(key), json_scalar(codec::Node::Kind::kInteger, std::to_string(value)));
  }
  // Left out when empty.
  JsonObject& add_some(std::string key, std::string_view value) { return value.empty() ? *this : add(std::move(key), value); }
  [[nodiscard]] codec::Node take() { return std::move(node_); }

 private:
  codec::Node node_;
};

// The child at the path, or null.
[[nodiscard]] inline const codec::Node* find_path(const codec::Node& root, std::initializer_list<std::string_view> path) {
  const codec::Node* node = &root;
  for (const auto name : path)
    if (node = node->find(name); node == nullptr) return nullptr;
  return node;
}
[[nodiscard]] inline std::string text_at(const codec::Node& root, std::initializer_list<std::string_view> path) {
  const auto* node = find_path(root, path);
  return node == nullptr ? std::string() : node->text;
}

}  // namespace pintle::ctl
