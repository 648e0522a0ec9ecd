// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/jsonpath.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

namespace pintle::ctl {
namespace {

using codec::Node;
using Step = JsonPath::Step;
using Part = JsonPath::Part;
constexpr int kMostNesting = 16;

// --- reading a template -------------------------------------------------------------------------------------

std::string unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      out += text[i];
      continue;
    }
    const char c = text[++i];
    out += c == 'n' ? '\n' : c == 't' ? '\t' : c == 'r' ? '\r' : c;
  }
  return out;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  // Parts up to the end, or up to the {end} of a range.
  Result<std::vector<Part>> parts(int depth) {
    if (depth > kMostNesting) return bad("ranges are nested too deeply");
    std::vector<Part> parts;
    while (at_ < text_.size()) {
      if (text_[at_] != '{') {
        const size_t brace = std::min(text_.find('{', at_), text_.size());
        parts.push_back({Part::Kind::kText, std::string(text_.substr(at_, brace - at_)), {}, {}});
        at_ = brace;
        continue;
      }
      ++at_;
      skip_spaces();
      if (take_word("end")) {
        PINTLE_TRY(expect('}'));
        if (depth == 0) return bad("{end} without {range}");
        return parts;
      }
      PINTLE_ASSIGN_OR_RETURN(auto part, expression(depth));
      parts.push_back(std::move(part));
    }
    if (depth > 0) return bad("{range} without {end}");
    return parts;
  }

  Result<std::vector<Step>> path() {
    std::vector<Step> steps;
    if (peek() == '$' || peek() == '@')
      ++at_;
    else if (peek() != '.' && peek() != '[') {
      Step step;
      step.name = field_name();
      if (step.name.empty()) return bad("expected '.field', '[…]' or a quoted text");
      steps.push_back(std::move(step));
    }
    while (peek() == '.' || peek() == '[') {
      if (peek() == '[') {
        PINTLE_ASSIGN_OR_RETURN(auto step, bracket());
        steps.push_back(std::move(step));
        continue;
      }
      ++at_;
      Step step;
      if (peek() == '.') {
        ++at_;
        step.kind = Step::Kind::kDescend;
      } else if (peek() == '[' || ends_path(peek())) {
        continue;  // "{.}" is the root, ".[0]" the same as "[0]"
      }
      if (peek() == '*') {
        ++at_;
        if (step.kind == Step::Kind::kField) step.kind = Step::Kind::kAll;
      } else {
        step.name = field_name();
        if (step.name.empty()) return bad("expected a field's name");
      }
      steps.push_back(std::move(step));
    }
    return steps;
  }

  [[nodiscard]] bool at_end() const { return at_ >= text_.size(); }
  [[nodiscard]] std::unexpected<Error> bad(std::string_view problem) const {
    return fail(Code::kInvalid, fmt::format("jsonpath '{}', character {}: {}", text_, at_ + 1, problem));
  }

 private:
  static bool ends_path(char c) { return c == '}' || c == '\0' || c == ' ' || c == ')'; }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_spaces() {
    while (peek() == ' ') ++at_;
  }
  bool take_word(std::string_view word) {
    if (!text_.substr(at_).starts_with(word)) return false;
    const char next = at_ + word.size() < text_.size() ? text_[at_ + word.size()] : '\0';
    if (next != '}' && next != ' ') return false;
    at_ += word.size();
    skip_spaces();
    return true;
  }
  Status expect(char c) {
    skip_spaces();
    if (peek() != c) return bad(fmt::format("expected '{}'", c));
    ++at_;
    return {};
  }
  std::string field_name() {
    std::string name;
    while (at_ < text_.size()) {
      const char c = text_[at_];
      if (c == '\\' && at_ + 1 < text_.size()) {
        name += text_[at_ + 1];
        at_ += 2;
        continue;
      }
      if (std::string_view(".[]{}() =!<>'\"").find(c) != std::string_view::npos) break;
      name += c;
      ++at_;
    }
    return name;
  }
  Result<std::string> quoted() {
    const char quote = peek();
    const size_t begin = ++at_;
    while (peek() != quote && at_ < text_.size()) at_ += peek() == '\\' ? 2 : 1;
    if (at_ >= text_.size()) return bad("the quote is not closed");
    return unescape(text_.substr(begin, at_++ - begin));
  }
  Result<Part> expression(int depth) {
    Part part;
    if (peek() == '"' || peek() == '\'') {
      PINTLE_ASSIGN_OR_RETURN(part.text, quoted());
      PINTLE_TRY(expect('}'));
      return part;
    }
    part.kind = take_word("range") ? Part::Kind::kRange : Part::Kind::kPath;
    PINTLE_ASSIGN_OR_RETURN(part.path, path());
    PINTLE_TRY(expect('}'));
    if (part.kind == Part::Kind::kRange) {
      PINTLE_ASSIGN_OR_RETURN(part.body, parts(depth + 1));
    }
    return part;
  }
  std::optional<int64_t> number() {
    int64_t value = 0;
    const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), value);
    if (error != std::errc{}) return std::nullopt;
    at_ = static_cast<size_t>(end - text_.data());
    return value;
  }
  Result<Step> bracket() {
    Step step;
    ++at_;
    if (peek() == '*') {
      ++at_;
      step.kind = Step::Kind::kAll;
    } else if (peek() == '?') {
      ++at_;
      PINTLE_TRY(filter(step));
    } else if (peek() == '\'' || peek() == '"') {
      PINTLE_ASSIGN_OR_RETURN(step.name, quoted());
    } else {
      const auto first = number();
      step.kind = Step::Kind::kIndex;
      step.first = first.value_or(0);
      step.has_first = first.has_value();
      if (peek() == ':') {
        ++at_;
        const auto last = number();
        step.kind = Step::Kind::kSlice;
        step.last = last.value_or(0);
        step.has_last = last.has_value();
      } else if (!first) {
        return bad("expected a number, '*', a quoted name or '?(…)'");
      }
    }
    PINTLE_TRY(expect(']'));
    return step;
  }
  Status filter(Step& step) {
    step.kind = Step::Kind::kFilter;
    PINTLE_TRY(expect('('));
    skip_spaces();
    if (peek() != '@') return bad("a filter begins with '@'");
    PINTLE_ASSIGN_OR_RETURN(step.left, path());
    skip_spaces();
    while (peek() != '\0' && std::string_view("=!<>").find(peek()) != std::string_view::npos) step.op += text_[at_++];
    if (!step.op.empty()) {
      if (step.op != "==" && step.op != "!=" && step.op != "<" && step.op != "<=" && step.op != ">" && step.op != ">=")
        return bad("a filter compares with ==, !=, <, <=, > or >=");
      skip_spaces();
      if (peek() == '"' || peek() == '\'') {
        PINTLE_ASSIGN_OR_RETURN(step.operand, quoted());
      } else {
        while (!ends_path(peek())) step.operand += text_[at_++];
      }
    }
    return expect(')');
  }

  std::string_view text_;
  size_t at_ = 0;
};

// --- following a path ---------------------------------------------------------------------------------------

using Nodes = std::vector<const Node*>;
void follow(const std::vector<Step>& path, Nodes& nodes);

void descend(const Node& node, const std::string& name, Nodes& out) {
  if (name.empty()) out.push_back(&node);
  for (const auto& child : node.children) {
    if (!name.empty() && node.is_map() && child.key == name) out.push_back(&child);
    descend(child, name, out);
  }
}

bool holds(const Step& filter, const Node& node) {
  Nodes found{&node};
  follow(filter.left, found);
  if (filter.op.empty()) return !found.empty();
  if (found.empty()) return false;
  const std::string& value = found.front()->text;
  if (filter.op == "==") return value == filter.operand;
  if (filter.op == "!=") return value != filter.operand;
  double left = 0, right = 0;
  const auto parsed = [](const std::string& text, double& out) {
    return std::from_chars(text.data(), text.data() + text.size(), out).ec == std::errc{};
  };
  if (!parsed(value, left) || !parsed(filter.operand, right)) return false;
  if (filter.op == "<") return left < right;
  if (filter.op == "<=") return left <= right;
  return filter.op == ">" ? left > right : left >= right;
}

void take_step(const Step& step, const Node& node, Nodes& out) {
  const auto size = static_cast<int64_t>(node.children.size());
  const auto from_end = [&](int64_t index) { return index < 0 ? index + size : index; };
  switch (step.kind) {
    case Step::Kind::kField:
      if (const auto* child = node.is_map() ? node.find(step.name) : nullptr) out.push_back(child);
      break;
    case Step::Kind::kIndex:
      if (const auto i = from_end(step.first); node.is_list() && i >= 0 && i < size) out.push_back(&node.children[static_cast<size_t>(i)]);
      break;
    case Step::Kind::kSlice: {
      const auto first = step.has_first ? std::max<int64_t>(from_end(step.first), 0) : 0;
      const auto last = step.has_last ? std::min(from_end(step.last), size) : size;
      for (auto i = first; node.is_list() && i < last; ++i) out.push_back(&node.children[static_cast<size_t>(i)]);
      break;
    }
    case Step::Kind::kAll:
      for (const auto& child : node.children) out.push_back(&child);
      break;
    case Step::Kind::kDescend: descend(node, step.name, out); break;
    case Step::Kind::kFilter:
      for (const auto& child : node.children)
        if (node.is_list() && holds(step, child)) out.push_back(&child);
      break;
  }
}

void follow(const std::vector<Step>& path, Nodes& nodes) {
  for (const auto& step : path) {
    Nodes next;
    for (const auto* node : nodes) take_step(step, *node, next);
    nodes = std::move(next);
  }
}

std::string shown(const Node& node) { return node.is_list() || node.is_map() ? codec::to_json(node) : node.text; }

void evaluate_parts(const std::vector<Part>& parts, const Node& root, std::string& out) {
  for (const auto& part : parts) {
    if (part.kind == Part::Kind::kText) {
      out += part.text;
      continue;
    }
    Nodes nodes{&root};
    follow(part.path, nodes);
    for (size_t i = 0; i < nodes.size(); ++i) {
      if (part.kind == Part::Kind::kRange) {
        evaluate_parts(part.body, *nodes[i], out);
        continue;
      }
      if (i > 0) out += ' ';
      out += shown(*nodes[i]);
    }
  }
}

}  // namespace

Result<JsonPath> JsonPath::parse(std::string_view text) {
  JsonPath path;
  Parser parser(text);
  if (text.find('{') != std::string_view::npos) {
    PINTLE_ASSIGN_OR_RETURN(path.parts_, parser.parts(0));
    return path;
  }
  Part part;
  part.kind = Part::Kind::kPath;
  PINTLE_ASSIGN_OR_RETURN(part.path, parser.path());
  if (!parser.at_end()) return parser.bad("unexpected character");
  path.parts_.push_back(std::move(part));
  return path;
}

std::string JsonPath::evaluate(const codec::Node& root) const {
  std::string out;
  evaluate_parts(parts_, root, out);
  return out;
}

}  // namespace pintle::ctl
