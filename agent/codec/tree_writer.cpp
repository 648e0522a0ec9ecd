// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>

#include <fmt/format.h>

#include "codec/document.h"
#include "codec/yaml_scalar.h"

namespace pintle::codec {
namespace {

// A JSON string, which is a YAML double-quoted scalar as well.
void append_quoted(std::string& out, std::string_view text) {
  out.push_back('"');
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (byte < 0x20 || byte == 0x7F)
          out += fmt::format("\\u{:04x}", byte);
        else
          out.push_back(c);
    }
  }
  out.push_back('"');
}

void append_json(std::string& out, const Node& node, int indent, int level) {
  const auto line_break = [&](int at) {
    if (indent == 0) return;
    out.push_back('\n');
    out.append(static_cast<size_t>(indent) * static_cast<size_t>(at), ' ');
  };
  switch (node.kind) {
    case Node::Kind::kNull: out += "null"; return;
    case Node::Kind::kString: append_quoted(out, node.text); return;
    case Node::Kind::kBool: out += node.is_true() ? "true" : "false"; return;
    case Node::Kind::kInteger:
    case Node::Kind::kFloat: out += node.text; return;
    case Node::Kind::kList:
    case Node::Kind::kMap: break;
  }
  out.push_back(node.is_map() ? '{' : '[');
  bool first = true;
  for (const auto& child : node.children) {
    if (!first) out.push_back(',');
    first = false;
    line_break(level + 1);
    if (node.is_map()) {
      append_quoted(out, child.key);
      out += indent == 0 ? ":" : ": ";
    }
    append_json(out, child, indent, level + 1);
  }
  if (!first) line_break(level);
  out.push_back(node.is_map() ? '}' : ']');
}

bool is_plain_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("._/+-@").find(c) != std::string_view::npos;
}

// Deliberately few texts go unquoted: letters, digits and what names and images are made of (a ':' only inside).
bool goes_plain(std::string_view text) {
  if (text.empty() || !is_plain_string(text) || text == "<<" || text[0] == '-' || text[0] == '@' || text == "..." || text.back() == ':')
    return false;
  for (size_t i = 0; i < text.size(); ++i)
    if (!is_plain_char(text[i]) && (text[i] != ':' || i == 0)) return false;
  return true;
}

// Several lines of printable text that a literal block gives back unchanged.
bool goes_literal(std::string_view text) {
  if (text.find('\n') == std::string_view::npos || text.back() != '\n' || text[0] == ' ' || text[0] == '\n' || text.ends_with("\n\n"))
    return false;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte < 0x20 && c != '\n') || byte >= 0x7F) return false;
  }
  return text.find(" \n") == std::string_view::npos;
}

void append_text(std::string& out, std::string_view text) {
  if (goes_plain(text))
    out += text;
  else
    append_quoted(out, text);
}

// YAML 1.2, 7.4: what stands before a ':' has at most 1,024 characters; a longer key is announced by '?'.
constexpr size_t kLongestPlainKey = 1000;

void append_yaml(std::string& out, const Node& node, size_t level);

// What follows "key:" or "-"; leaves the line ended.
void append_value(std::string& out, const Node& node, size_t level) {
  if (node.is_string() && goes_literal(node.text)) {
    out += " |\n";
    // Also a document that is nothing but a text is indented: at column 0 a line of it could be taken for a list or a document's end.
    const size_t indent = 2 * std::max<size_t>(level, 1);
    std::string_view rest = node.text;
    while (!rest.empty()) {
      const size_t end = rest.find('\n');
      if (end > 0) out.append(indent, ' ').append(rest.substr(0, end));
      out.push_back('\n');
      rest.remove_prefix(end + 1);
    }
    return;
  }
  if (!node.is_map() && !node.is_list()) {
    out.push_back(' ');
    if (node.is_string())
      append_text(out, node.text);
    else
      append_json(out, node, 0, 0);
    out.push_back('\n');
    return;
  }
  if (node.children.empty()) {
    out += node.is_map() ? " {}\n" : " []\n";
    return;
  }
  out.push_back('\n');
  append_yaml(out, node, level);
}

// A map or list with children, each on lines of its own.
void append_yaml(std::string& out, const Node& node, size_t level) {
  for (const auto& child : node.children) {
    out.append(2 * level, ' ');
    if (node.is_map()) {
      std::string key;
      append_text(key, child.key);
      if (key.size() > kLongestPlainKey) {
        out.append("? ").append(key).append("\n").append(2 * level, ' ').append(":");
        append_value(out, child, level + 1);
        continue;
      }
      out.append(key).push_back(':');
      // A list stands at its key's own column, as kubectl writes it.
      append_value(out, child, child.is_list() ? level : level + 1);
      continue;
    }
    out.push_back('-');
    if (child.is_map() && !child.children.empty()) {
      // The first entry shares the dash's line.
      std::string inner;
      append_yaml(inner, child, level + 1);
      out.push_back(' ');
      out.append(inner, 2 * (level + 1));
      continue;
    }
    append_value(out, child, level + 1);
  }
}

}  // namespace

std::string to_json(const Node& node, int indent) {
  std::string out;
  append_json(out, node, indent, 0);
  if (indent > 0) out.push_back('\n');
  return out;
}

std::string to_yaml(const Node& node) {
  std::string out;
  if ((node.is_map() || node.is_list()) && !node.children.empty()) {
    append_yaml(out, node, 0);
  } else {
    append_value(out, node, 0);
    out.erase(0, 1);  // the blank before a value
  }
  return out;
}

}  // namespace pintle::codec
