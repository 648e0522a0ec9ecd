// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/yaml_tree.h"

#include <algorithm>
#include <exception>
#include <optional>
#include <sstream>

#include <fmt/format.h>
#include <yaml-cpp/exceptions.h>
#include <yaml-cpp/parser.h>

#include "codec/json_tree.h"
#include "codec/text.h"
#include "codec/yaml_scalar.h"

namespace pintle::codec {
namespace {

constexpr std::string_view kTagPrefix = "tag:yaml.org,2002:";

struct Size {
  size_t nodes = 1, bytes = 0, height = 1;
};
Size measure(const Node& node) {
  Size size{.bytes = node.text.size() + node.key.size()};
  for (const auto& child : node.children) {
    const Size below = measure(child);
    size.nodes += below.nodes;
    size.bytes += below.bytes;
    size.height = std::max(size.height, below.height + 1);
  }
  return size;
}

// The scalar with the type that its tag, or without one its text, gives it.
Result<Node> tagged_scalar(const std::string& tag, const std::string& value) {
  Node text;
  text.kind = Node::Kind::kString;
  text.text = value;
  if (tag == "?" || tag.empty()) return resolve_plain_scalar(value);
  if (tag == "!" || tag == "tag:yaml.org,2002:str" || tag == "tag:yaml.org,2002:timestamp") return text;
  if (tag == "tag:yaml.org,2002:binary") {
    auto bytes = decode_base64(value);
    if (!bytes || find_bad_utf8(*bytes)) return fail(Code::kInvalid, "a !!binary value must be base64 of UTF-8 text");
    text.text = *std::move(bytes);
    return text;
  }
  const auto wants = [&](std::string_view name) { return tag == fmt::format("{}{}", kTagPrefix, name); };
  auto plain = resolve_plain_scalar(value);
  if (plain && wants("int") && plain->kind == Node::Kind::kInteger) return plain;
  if (plain && wants("bool") && plain->kind == Node::Kind::kBool) return plain;
  if (plain && wants("null") && plain->is_null()) return plain;
  if (plain && wants("float") && (plain->kind == Node::Kind::kInteger || plain->kind == Node::Kind::kFloat)) return plain;
  return fail(Code::kInvalid, fmt::format("the tag '{}' does not fit '{}'", tag, value.substr(0, 60)));
}

}  // namespace

void YamlBuilder::fail(int line, const std::string& problem) {
  if (failed_) return;
  failed_ = true;
  error_ = document_error(origin_, line, problem);
  stack_.clear();
  anchors_.clear();
}

bool YamlBuilder::spend(size_t nodes, size_t bytes, int line) {
  nodes_ += nodes;
  bytes_ += bytes;
  if (nodes_ > kMaxManifestNodes)
    fail(line, fmt::format("more than {} values (aliases counted as often as they are used)", kMaxManifestNodes));
  if (bytes_ > kMaxExpandedBytes) fail(line, fmt::format("more than {} MiB of text once aliases are expanded", kMaxExpandedBytes >> 20U));
  return !failed_;
}

void YamlBuilder::OnDocumentStart(const YAML::Mark& mark) {
  root_ = Node{};
  root_.line = line(mark);
  position_ = mark.pos;
  stack_.clear();
  anchors_.clear();
  nodes_ = 0;
  bytes_ = 0;
  failed_ = false;
}

void YamlBuilder::OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) {
  if (failed_ || !spend(1, 0, line(mark))) return;
  Node node;
  node.line = line(mark);
  if (!take_as_key(node, false)) add(std::move(node), anchor);
}

void YamlBuilder::OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) {
  if (failed_ || !spend(1, value.size(), line(mark))) return;
  auto node = tagged_scalar(tag, value);
  if (!node) return fail(line(mark), node.error().context);
  node->line = line(mark);
  if (!take_as_key(*node, tag == "?" && value == "<<")) return add(*std::move(node), anchor);
  if (anchor != 0) anchors_[anchor] = Anchor{*std::move(node), 1, value.size(), 1};
}

// True if `node` was consumed as the name of the next entry, or was refused as one.
bool YamlBuilder::take_as_key(const Node& node, bool plain_merge) {
  if (failed_) return true;
  if (stack_.empty() || !stack_.back().node.is_map() || stack_.back().has_key) return false;
  Frame& frame = stack_.back();
  if (node.is_null()) {
    fail(node.line, "a key is empty");
    return true;
  }
  frame.has_key = true;
  frame.key_is_merge = plain_merge;
  frame.key = node.kind != Node::Kind::kBool ? node.text : node.is_true() ? "true" : "false";
  frame.key_line = node.line;
  return true;
}

void YamlBuilder::OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) {
  if (failed_) return;
  const auto found = anchors_.find(anchor);
  if (found == anchors_.end()) return fail(line(mark), "an alias stands inside the very value it names: that would have no end");
  const Anchor& target = found->second;
  if (!spend(target.nodes, target.bytes, line(mark))) return;
  if (stack_.size() + target.height > kMaxDepth + 1) return fail(line(mark), fmt::format("nested deeper than {} levels", kMaxDepth));
  const bool scalar = !target.node.is_map() && !target.node.is_list();
  Node copy = target.node;
  copy.line = line(mark);
  if (scalar && take_as_key(copy, false)) return;
  add(std::move(copy), 0);
}

void YamlBuilder::open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor) {
  if (failed_ || !spend(1, 0, line(mark))) return;
  const std::string_view expected = kind == Node::Kind::kMap ? "map" : "seq";
  if (tag != "?" && tag != "!" && !tag.empty() && tag != fmt::format("{}{}", kTagPrefix, expected))
    return fail(line(mark), fmt::format("the tag '{}' is not known", tag));
  if (!stack_.empty() && stack_.back().node.is_map() && !stack_.back().has_key) return fail(line(mark), "a map or list can't be a key");
  if (stack_.size() >= kMaxDepth) return fail(line(mark), fmt::format("nested deeper than {} levels", kMaxDepth));
  Frame frame;
  frame.node.kind = kind;
  frame.node.line = line(mark);
  frame.anchor = anchor;
  stack_.push_back(std::move(frame));
}

void YamlBuilder::OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) {
  open(Node::Kind::kList, mark, tag, anchor);
}
void YamlBuilder::OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value) {
  open(Node::Kind::kMap, mark, tag, anchor);
}

// "<<": entries of the merged maps where the map has none of its own; earlier maps win over later ones.
void YamlBuilder::apply_merges(Frame& frame) {
  std::vector<std::string> have;
  for (const auto& child : frame.node.children) have.push_back(child.key);
  std::ranges::sort(have);
  for (auto& source : frame.merges) {
    if (!source.is_map()) return fail(source.line, "'<<' takes a map or a list of maps");
    for (auto& child : source.children) {
      const auto at = std::ranges::lower_bound(have, child.key);
      if (at != have.end() && *at == child.key) continue;
      have.insert(at, child.key);
      frame.node.children.push_back(std::move(child));
    }
  }
}

void YamlBuilder::close() {
  if (failed_ || stack_.empty()) return;
  Frame frame = std::move(stack_.back());
  stack_.pop_back();
  if (frame.node.is_map()) {
    if (const Node* twice = find_duplicate_key(frame.node))
      return fail(twice->line, fmt::format("the key '{}' is given twice", twice->key));
    if (!frame.merges.empty()) apply_merges(frame);
    if (failed_) return;
  }
  add(std::move(frame.node), frame.anchor);
}

void YamlBuilder::add(Node node, YAML::anchor_t anchor) {
  if (anchor != 0) {
    const Size size = measure(node);
    if (!spend(size.nodes, size.bytes, node.line)) return;
    anchors_[anchor] = Anchor{node, size.nodes, size.bytes, size.height};
  }
  if (stack_.empty()) {
    root_ = std::move(node);
    return;
  }
  Frame& frame = stack_.back();
  if (!frame.node.is_map()) {
    frame.node.children.push_back(std::move(node));
    return;
  }
  frame.has_key = false;
  if (frame.key_is_merge) {
    if (node.is_list())
      std::ranges::move(node.children, std::back_inserter(frame.merges));
    else
      frame.merges.push_back(std::move(node));
    return;
  }
  node.key = std::move(frame.key);
  node.line = frame.key_line;
  frame.node.children.push_back(std::move(node));
}

void parse_yaml_chunk(std::string_view text, int first_line, const std::string& origin, Documents& out) {
  YamlBuilder builder(origin, first_line);
  const size_t roots_before = out.roots.size();
  try {
    std::istringstream stream{std::string(text)};
    YAML::Parser parser(stream);
    for (std::optional<int> previous; parser.HandleNextDocument(builder); previous = builder.position()) {
      if (previous == builder.position()) {
        // A stray "]" makes yaml-cpp 0.7 answer with empty documents for ever; what stood before it belongs to the mistake.
        if (out.roots.size() > roots_before) out.roots.pop_back();
        out.errors.push_back(document_error(origin, builder.document_line(), "invalid YAML: unexpected text behind the document"));
        return;
      }
      if (builder.failed()) {
        out.errors.push_back(builder.error());
      } else if (Node root = builder.take_root(); !root.is_null()) {
        out.roots.push_back(std::move(root));
      }
    }
  } catch (const YAML::Exception& error) {
    // The first thing that was wrong is the cause; the parser's own complaint may only follow from it.
    out.errors.push_back(builder.failed() ? builder.error()
                                          : document_error(origin, builder.line(error.mark), fmt::format("invalid YAML: {}", error.msg)));
  } catch (const std::exception& error) {
    out.errors.push_back(document_error(origin, first_line, fmt::format("invalid YAML: {}", error.what())));
  }
}

}  // namespace pintle::codec
