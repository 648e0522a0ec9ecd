// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/document.h"

#include <algorithm>

#include <fmt/format.h>

#include "codec/json_tree.h"
#include "codec/text.h"
#include "codec/yaml_tree.h"

namespace pintle::codec {
namespace {

constexpr std::string_view kBlank = " \t\r\n";

int count_lines(std::string_view text) { return static_cast<int>(std::ranges::count(text, '\n')); }

// "---" at the start of a line ends a document wherever it stands, also in a block scalar.
bool is_separator(std::string_view line) {
  return line.starts_with("---") && (line.size() == 3 || kBlank.find(line[3]) != std::string_view::npos);
}

// Comments, blank lines and %directives only.
bool is_empty_document(std::string_view text) {
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t first = line.find_first_not_of(kBlank);
    if (first != std::string_view::npos && line[first] != '#' && line[0] != '%') return false;
  }
  return true;
}

void parse_yaml_documents(std::string_view text, const std::string& origin, Documents& out) {
  size_t start = 0;
  int start_line = 1;
  int line_number = 1;
  for (size_t pos = 0; pos <= text.size(); ++line_number) {
    const size_t end = std::min(text.find('\n', pos), text.size());
    const bool last = end == text.size();
    const bool separator = pos > start && is_separator(text.substr(pos, end - pos));
    if (separator || last) {
      const std::string_view chunk = text.substr(start, (separator ? pos : text.size()) - start);
      if (!is_empty_document(chunk)) parse_yaml_chunk(chunk, start_line, origin, out);
      start = pos;
      start_line = line_number;
      if (separator && last && !is_empty_document(text.substr(start))) parse_yaml_chunk(text.substr(start), start_line, origin, out);
    }
    pos = end + 1;
  }
}

// One JSON value after another. False: the text is no JSON, and nothing was added to `out`'s roots after `error`.
void parse_json_documents(std::string_view text, const std::string& origin, Documents& out) {
  JsonPosition position{.text = text};
  for (;;) {
    while (position.offset < text.size() && kBlank.find(text[position.offset]) != std::string_view::npos) position.advance();
    if (position.offset >= text.size()) return;
    if (const char first = text[position.offset]; first != '{' && first != '[') {
      // Only brackets end exactly where they end; anything else between documents is a mistake anyway.
      out.errors.push_back(document_error(origin, position.line, fmt::format("expected '{{', found '{}'", first < 0x20 ? '?' : first)));
      return;
    }
    auto root = parse_json_value(position, origin, TrailingText::kLeave);
    if (!root) {
      out.errors.push_back(std::move(root).error());
      return;
    }
    out.roots.push_back(*std::move(root));
  }
}

}  // namespace

const Node* Node::find(std::string_view name) const {
  for (const auto& child : children)
    if (child.key == name) return &child;
  return nullptr;
}

bool Node::is_true() const {
  // y, yes, t(rue) and on, in any of their spellings; the false ones begin with f or n, or are "off".
  if (text.empty()) return false;
  const char first = text[0];
  return first == 't' || first == 'T' || first == 'y' || first == 'Y' || ((first == 'o' || first == 'O') && text.size() == 2);
}

std::string_view to_string(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::kNull: return "nothing";
    case Node::Kind::kBool: return "a boolean";
    case Node::Kind::kInteger: return "a whole number";
    case Node::Kind::kFloat: return "a number";
    case Node::Kind::kString: return "a string";
    case Node::Kind::kList: return "a list";
    case Node::Kind::kMap: return "a map";
  }
  return "";
}

Error document_error(const std::string& origin, int line, std::string_view problem) {
  if (origin.empty()) return Error{Code::kInvalid, 0, std::string(problem)};
  return Error{Code::kInvalid, 0, fmt::format("{}:{}: {}", origin, line, problem)};
}

Documents parse_documents(std::string_view text, const std::string& origin) {
  Documents out;
  if (text.size() > kMaxManifestBytes) {
    out.errors.push_back(
        document_error(origin, 1, fmt::format("{} bytes are more than the limit of {} MiB", text.size(), kMaxManifestBytes >> 20U)));
    return out;
  }
  if (const auto bad = find_bad_utf8(text)) {
    out.errors.push_back(document_error(origin, count_lines(text.substr(0, *bad)) + 1, fmt::format("byte {} is not UTF-8", *bad)));
    return out;
  }
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (const size_t zero = text.find('\0'); zero != std::string_view::npos) {
    out.errors.push_back(document_error(origin, count_lines(text.substr(0, zero)) + 1, fmt::format("byte {} is a NUL", zero)));
    return out;
  }
  const size_t first = text.find_first_not_of(kBlank);
  const bool json_only = origin.ends_with(".json");
  if (json_only || (first != std::string_view::npos && text[first] == '{')) {
    parse_json_documents(text, origin, out);
    if (json_only || out.errors.empty()) return out;
    // "{a: b}" is YAML; what neither reader takes is reported as the JSON that it looks like.
    Documents yaml;
    parse_yaml_documents(text, origin, yaml);
    return yaml.errors.empty() ? yaml : out;
  }
  parse_yaml_documents(text, origin, out);
  return out;
}

}  // namespace pintle::codec
