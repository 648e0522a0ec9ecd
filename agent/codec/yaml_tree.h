// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// From yaml-cpp's events to a Node tree. Internal to codec: includes yaml-cpp.
// The builder refuses what would not end or not fit (cycles, expansions) and then ignores the events that follow.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/mark.h>

#include "codec/document.h"

namespace pintle::codec {

class YamlBuilder final : public YAML::EventHandler {
 public:
  YamlBuilder(std::string origin, int first_line) : origin_(std::move(origin)), first_line_(first_line) {}

  void OnDocumentStart(const YAML::Mark& mark) override;
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnAlias(const YAML::Mark& mark, YAML::anchor_t anchor) override;
  void OnScalar(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, const std::string& value) override;
  void OnSequenceStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value style) override;
  void OnSequenceEnd() override { close(); }
  void OnMapStart(const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor, YAML::EmitterStyle::value style) override;
  void OnMapEnd() override { close(); }

  [[nodiscard]] bool failed() const { return failed_; }
  [[nodiscard]] Error error() const { return error_; }
  [[nodiscard]] Node take_root() { return std::move(root_); }
  // Where the document began that was read last.
  [[nodiscard]] int position() const { return position_; }
  [[nodiscard]] int document_line() const { return root_.line; }
  [[nodiscard]] int line(const YAML::Mark& mark) const { return first_line_ + (mark.line < 0 ? 0 : mark.line); }

 private:
  struct Frame {
    Node node;
    YAML::anchor_t anchor = 0;
    bool has_key = false;
    bool key_is_merge = false;
    std::string key;
    int key_line = 1;
    std::vector<Node> merges;
  };
  struct Anchor {
    Node node;
    size_t nodes = 0, bytes = 0, height = 0;
  };

  void fail(int line, const std::string& problem);
  void open(Node::Kind kind, const YAML::Mark& mark, const std::string& tag, YAML::anchor_t anchor);
  void close();
  void add(Node node, YAML::anchor_t anchor);
  bool take_as_key(const Node& node, bool plain_merge);
  void apply_merges(Frame& frame);
  bool spend(size_t nodes, size_t bytes, int line);

  const std::string origin_;
  const int first_line_;
  Node root_;
  int position_ = 0;
  std::vector<Frame> stack_;
  std::map<YAML::anchor_t, Anchor> anchors_;
  size_t nodes_ = 0;
  size_t bytes_ = 0;
  bool failed_ = false;
  Error error_;
};

// The documents of one chunk of YAML that starts at `first_line` of its file.
void parse_yaml_chunk(std::string_view text, int first_line, const std::string& origin, Documents& out);

}  // namespace pintle::codec
