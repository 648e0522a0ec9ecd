// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/json_tree.h"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

namespace pintle::codec {
namespace {

// "[json.exception.parse_error.101] parse error at line 3, column 5: syntax error while …" without its number,
// and without bytes that are no ASCII: it may quote the very bytes that are not UTF-8.
std::string plain_message(std::string_view what) {
  if (const auto at = what.find("parse error at line "); at != std::string_view::npos) {
    if (const auto colon = what.find(": ", at); colon != std::string_view::npos) what.remove_prefix(colon + 2);
  } else if (const auto bracket = what.find("] "); bracket != std::string_view::npos) {
    what.remove_prefix(bracket + 2);
  }
  std::string out(what.substr(0, 300));
  std::ranges::replace_if(out, [](char c) { return static_cast<unsigned char>(c) >= 0x80 || static_cast<unsigned char>(c) < 0x20; }, '?');
  return out;
}

}  // namespace

bool TreeBuilder::fail_at(int line, std::string problem) {
  if (error_.empty()) {
    error_ = std::move(problem);
    error_line_ = line;
  }
  return false;
}

bool TreeBuilder::add(Node node) {
  if (stack_.empty()) {
    root_ = std::move(node);
    return true;
  }
  stack_.back().children.push_back(std::move(node));
  return true;
}

bool TreeBuilder::begin(Node::Kind kind) {
  if (stack_.size() >= kMaxDepth) return fail_at(position_.line, fmt::format("nested deeper than {} levels", kMaxDepth));
  Node node;
  node.kind = kind;
  name(node, position_.line);
  stack_.push_back(std::move(node));
  return count();
}

bool TreeBuilder::end() {
  Node node = std::move(stack_.back());
  stack_.pop_back();
  if (node.is_map()) {
    if (const Node* twice = find_duplicate_key(node)) return fail_at(twice->line, fmt::format("the key '{}' is given twice", twice->key));
  }
  return add(std::move(node));
}

bool TreeBuilder::scalar(Node::Kind kind, std::string text) {
  Node node;
  node.kind = kind;
  node.text = std::move(text);
  name(node, kind == Node::Kind::kString ? position_.line : position_.token_line());
  return count() && add(std::move(node));
}

void TreeBuilder::name(Node& node, int line) {
  node.line = line;
  if (stack_.empty() || !stack_.back().is_map()) return;
  node.key = std::move(key_);
  node.line = key_line_;
}

bool TreeBuilder::key(std::string& text) {
  key_ = std::move(text);
  key_line_ = position_.line;
  return true;
}

bool TreeBuilder::count() {
  if (++nodes_ > kMaxJsonNodes) return fail_at(position_.line, fmt::format("more than {} values", kMaxJsonNodes));
  return true;
}

bool TreeBuilder::parse_error(size_t, const std::string&, const nlohmann::json::exception& error) {
  const std::string message = plain_message(error.what());
  return fail_at(position_.token_line(), fmt::format("column {}: invalid JSON: {}", position_.column(), message));
}

const Node* find_duplicate_key(const Node& map) {
  if (map.children.size() < 2) return nullptr;
  if (map.children.size() <= 12) {
    for (size_t i = 1; i < map.children.size(); ++i)
      for (size_t j = 0; j < i; ++j)
        if (map.children[i].key == map.children[j].key) return &map.children[i];
    return nullptr;
  }
  std::vector<const Node*> sorted;
  sorted.reserve(map.children.size());
  for (const auto& child : map.children) sorted.push_back(&child);
  // By key, then by place: the second of two is the one that is reported.
  std::ranges::sort(sorted, [](const Node* a, const Node* b) {
    const int order = a->key.compare(b->key);
    return order != 0 ? order < 0 : a < b;
  });
  for (size_t i = 1; i < sorted.size(); ++i)
    if (sorted[i]->key == sorted[i - 1]->key) return sorted[i];
  return nullptr;
}

Result<Node> parse_json_value(JsonPosition& position, const std::string& origin, TrailingText trailing) {
  if (position.text.size() > kMaxJsonBytes) {
    return std::unexpected(
        document_error(origin, 1, fmt::format("{} bytes are more than the limit of {}", position.text.size(), kMaxJsonBytes)));
  }
  TreeBuilder builder(position);
  bool good = false;
  try {
    good = nlohmann::json::sax_parse(JsonIterator(&position), JsonIterator(), &builder, nlohmann::json::input_format_t::json,
                                     trailing == TrailingText::kRefuse);
  } catch (const std::exception& error) {  // the SAX interface reports instead of throwing; only allocation is left
    return std::unexpected(document_error(origin, position.line, plain_message(error.what())));
  }
  if (!good) return std::unexpected(builder.error(origin));
  return std::move(builder).root();
}

Result<Node> parse_json(std::string_view text, const std::string& origin) {
  JsonPosition position{.text = text};
  return parse_json_value(position, origin, TrailingText::kRefuse);
}

}  // namespace pintle::codec
