// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/selectors.h"

#include <algorithm>
#include <cctype>
#include <span>

#include <fmt/format.h>

namespace pintle::standalone {
namespace {

using Op = Requirement::Op;

constexpr std::string_view kObjectFields[] = {"metadata.name", "metadata.namespace"};
constexpr std::string_view kPodFields[] = {"spec.nodeName",    "spec.restartPolicy", "spec.schedulerName", "spec.serviceAccountName",
                                           "spec.hostNetwork", "status.phase",       "status.podIP",       "status.nominatedNodeName"};
constexpr std::string_view kEventFields[] = {"involvedObject.kind",
                                             "involvedObject.namespace",
                                             "involvedObject.name",
                                             "involvedObject.uid",
                                             "involvedObject.apiVersion",
                                             "involvedObject.resourceVersion",
                                             "involvedObject.fieldPath",
                                             "reason",
                                             "reportingComponent",
                                             "source",
                                             "type"};
constexpr std::string_view kOtherFields[] = {"spec.unschedulable"};

std::vector<std::string_view> selectable_fields(const ResourceType& type) {
  std::vector<std::string_view> fields{"metadata.name"};
  if (type.namespaced) fields.emplace_back("metadata.namespace");
  if (type.plural == "pods") fields.insert(fields.end(), std::begin(kPodFields), std::end(kPodFields));
  if (type.plural == "nodes") fields.emplace_back("spec.unschedulable");
  if (type.plural == "namespaces") fields.emplace_back("status.phase");
  if (type.plural == "secrets") fields.emplace_back("type");
  if (type.plural == "events") fields.insert(fields.end(), std::begin(kEventFields), std::end(kEventFields));
  return fields;
}

// Of a field's name, for Selectable; one number for all that are not known.
char number_of(std::string_view field) {
  char number = 1;
  for (const auto& names : {std::span<const std::string_view>(kObjectFields), {kPodFields}, {kEventFields}, {kOtherFields}})
    for (const auto& name : names) {
      if (name == field) return number;
      ++number;
    }
  return 0;
}

std::string field_value(const Json& object, std::string_view path) {
  if (path == "source") {  // as the API: the component, old style or new
    std::string component = text_at(object, "source", "component");
    return component.empty() ? text_at(object, "reportingComponent") : component;
  }
  const Json* at = &object;
  while (at != nullptr && !path.empty()) {
    const size_t dot = path.find('.');
    at = find(*at, std::string(path.substr(0, dot)).c_str());
    path = dot == std::string_view::npos ? std::string_view() : path.substr(dot + 1);
  }
  if (at == nullptr) return {};
  if (at->is_boolean()) return at->get<bool>() ? "true" : "false";
  return at->is_string() ? at->get<std::string>() : std::string();
}

bool holds(const Requirement& requirement, std::optional<std::string_view> value) {
  const bool listed = value && std::find(requirement.values.begin(), requirement.values.end(), *value) != requirement.values.end();
  switch (requirement.op) {
    case Op::kIn: return listed;
    case Op::kNotIn: return !listed;  // an absent label is not in any set
    case Op::kExists: return value.has_value();
    case Op::kAbsent: return !value;
  }
  return false;
}

// Reads the label selector's small language from left to right.
class LabelParser {
 public:
  explicit LabelParser(std::string_view text) : whole_(text), rest_(text) {}

  ApiResult<std::vector<Requirement>> parse() {
    std::vector<Requirement> requirements;
    skip_blanks();
    while (!rest_.empty()) {
      auto requirement = parse_one();
      if (!requirement) return std::unexpected(requirement.error());
      requirements.push_back(*std::move(requirement));
      skip_blanks();
      if (rest_.empty()) break;
      if (!take(",")) return wrong("expected ','");
      skip_blanks();
      if (rest_.empty()) return wrong("a requirement is missing after ','");
    }
    return requirements;
  }

 private:
  ApiResult<Requirement> parse_one() {
    Requirement requirement;
    if (take("!")) {
      skip_blanks();
      requirement.key = word();
      requirement.op = Op::kAbsent;
      if (requirement.key.empty()) return wrong("a key is missing after '!'");
      return requirement;
    }
    requirement.key = word();
    if (requirement.key.empty()) return wrong("a key is missing");
    skip_blanks();
    if (rest_.empty() || rest_.front() == ',') return requirement;
    if (take("!=")) {
      requirement.op = Op::kNotIn;
    } else if (take("==") || take("=")) {
      requirement.op = Op::kIn;
    } else {
      return parse_set(std::move(requirement));
    }
    skip_blanks();
    requirement.values.push_back(word());
    return requirement;
  }

  ApiResult<Requirement> parse_set(Requirement requirement) {
    const std::string op = word();
    if (op != "in" && op != "notin") return wrong("expected one of '=', '==', '!=', 'in', 'notin'");
    requirement.op = op == "in" ? Op::kIn : Op::kNotIn;
    skip_blanks();
    if (!take("(")) return wrong("expected '('");
    do {
      skip_blanks();
      requirement.values.push_back(word());
      skip_blanks();
    } while (take(","));
    if (!take(")")) return wrong("expected ')'");
    return requirement;
  }

  std::string word() {
    size_t end = 0;
    while (end < rest_.size() && (std::isalnum(static_cast<unsigned char>(rest_[end])) != 0 ||
                                  std::string_view("-_./").find(rest_[end]) != std::string_view::npos))
      ++end;
    std::string taken(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return taken;
  }
  bool take(std::string_view token) {
    if (!rest_.starts_with(token)) return false;
    rest_.remove_prefix(token.size());
    return true;
  }
  void skip_blanks() {
    while (!rest_.empty() && rest_.front() == ' ') rest_.remove_prefix(1);
  }
  std::unexpected<ApiError> wrong(std::string_view what) const {
    return bad_request(fmt::format("unable to parse requirement: label selector '{}' at '{}': {}", whole_, rest_, what));
  }

  std::string_view whole_, rest_;
};

ApiResult<std::vector<Requirement>> parse_field_selector(const ResourceType& type, std::string_view text) {
  std::vector<Requirement> requirements;
  const auto known = selectable_fields(type);
  while (!text.empty()) {
    const size_t comma = text.find(',');
    std::string_view part = text.substr(0, comma);
    text = comma == std::string_view::npos ? std::string_view() : text.substr(comma + 1);
    if (part.empty()) continue;
    const size_t equals = part.find('=');
    if (equals == std::string_view::npos || equals == 0)
      return bad_request(fmt::format("invalid field selector '{}': expected FIELD=VALUE, FIELD==VALUE or FIELD!=VALUE", part));
    Requirement requirement;
    requirement.op = part[equals - 1] == '!' ? Op::kNotIn : Op::kIn;
    requirement.key = std::string(part.substr(0, requirement.op == Op::kNotIn ? equals - 1 : equals));
    part.remove_prefix(equals + 1);
    if (part.starts_with('=')) part.remove_prefix(1);
    requirement.values.emplace_back(part);
    if (std::find(known.begin(), known.end(), requirement.key) == known.end())
      return bad_request(fmt::format("field label not supported: {} (of {}: {})", requirement.key, type.plural, fmt::join(known, ", ")));
    requirements.push_back(std::move(requirement));
  }
  return requirements;
}

}  // namespace

// The length in digits of 7 bits, the last one without the eighth.
void Selectable::append(std::string_view part) {
  size_t size = part.size();
  for (; size >= 0x80; size >>= 7) text_.push_back(static_cast<char>(size | 0x80));
  text_.push_back(static_cast<char>(size));
  text_.append(part);
}

std::string_view Selectable::part_at(size_t& from) const {
  size_t size = 0;
  for (unsigned shift = 0;; shift += 7) {
    const auto digit = static_cast<unsigned char>(text_[from++]);
    size |= static_cast<size_t>(digit & 0x7f) << shift;
    if (digit < 0x80) break;
  }
  const std::string_view part(text_.data() + from, size);
  from += size;
  return part;
}

void Selectable::add_label(std::string_view key, std::string_view value) {
  append(key);
  append(value);
  labels_end_ = text_.size();
}

// An absent field is as good as an empty one.
void Selectable::add_field(std::string_view key, std::string_view value) {
  if (value.empty()) return;
  text_.push_back(number_of(key));
  append(value);
}

std::optional<std::string_view> Selectable::label(std::string_view key) const {
  for (size_t at = 0; at < labels_end_;) {
    const auto have = part_at(at), value = part_at(at);
    if (have == key) return value;
  }
  return std::nullopt;
}

std::optional<std::string_view> Selectable::field(std::string_view key) const {
  const char number = number_of(key);
  for (size_t at = labels_end_; at < text_.size();) {
    const char have = text_[at++];
    const auto value = part_at(at);
    if (have == number) return value;
  }
  return std::nullopt;
}

SelectablePtr selectable_of(const ResourceType& type, const Json& object) {
  auto selectable = std::make_shared<Selectable>();
  if (const Json* labels = find(object, "metadata", "labels"); labels != nullptr && labels->is_object())
    for (const auto& [key, value] : labels->items())
      if (value.is_string()) selectable->add_label(key, value.get_ref<const std::string&>());
  for (const auto path : selectable_fields(type)) selectable->add_field(path, field_value(object, path));
  selectable->seal();
  return selectable;
}

ApiResult<std::vector<Requirement>> parse_label_selector(std::string_view text) { return LabelParser(text).parse(); }

ApiResult<Selector> Selector::parse(const ResourceType& type, std::string_view labels, std::string_view fields) {
  Selector selector;
  auto parsed_labels = parse_label_selector(labels);
  if (!parsed_labels) return std::unexpected(parsed_labels.error());
  auto parsed_fields = parse_field_selector(type, fields);
  if (!parsed_fields) return std::unexpected(parsed_fields.error());
  selector.labels_ = *std::move(parsed_labels);
  selector.fields_ = *std::move(parsed_fields);
  return selector;
}

bool Selector::matches(const Selectable& object) const {
  return std::ranges::all_of(labels_, [&](const Requirement& wanted) { return holds(wanted, object.label(wanted.key)); }) &&
         std::ranges::all_of(fields_, [&](const Requirement& wanted) { return holds(wanted, object.field(wanted.key).value_or("")); });
}

}  // namespace pintle::standalone
