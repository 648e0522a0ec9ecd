// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/output.h"

#include <ostream>

#include <fmt/format.h>

#include "ctl/json.h"

namespace pintle::ctl {
namespace {

constexpr int kIndent = 4;  // as kubectl
constexpr std::string_view kJsonPathPrefix = "jsonpath=";

std::string with_line_end(std::string text) {
  if (text.empty() || text.back() != '\n') text += '\n';
  return text;
}

void print_node(std::ostream& out, const Format& format, const codec::Node& node) {
  if (format.kind == Format::Kind::kJson) out << with_line_end(codec::to_json(node, kIndent));
  if (format.kind == Format::Kind::kYaml) out << with_line_end(codec::to_yaml(node));
  if (format.kind == Format::Kind::kJsonPath) out << with_line_end(format.path->evaluate(node));
}

}  // namespace

Result<Format> parse_format(const std::string& text) {
  if (text.empty() || text == "table") return Format{};
  if (text == "wide") return Format{Format::Kind::kWide, {}};
  if (text == "json") return Format{Format::Kind::kJson, {}};
  if (text == "yaml") return Format{Format::Kind::kYaml, {}};
  if (text == "name") return Format{Format::Kind::kName, {}};
  if (text.starts_with(kJsonPathPrefix)) {
    PINTLE_ASSIGN_OR_RETURN(auto path, JsonPath::parse(text.substr(kJsonPathPrefix.size())));
    return Format{Format::Kind::kJsonPath, std::move(path)};
  }
  return fail(Code::kInvalid, fmt::format("output format '{}' is not known; use table, wide, json, yaml, name or jsonpath=TEMPLATE", text));
}

void print_objects(Session& session, const Format& format, std::vector<NamedObject> objects, Shape shape) {
  auto& out = session.io().out;
  if (format.kind == Format::Kind::kName) {
    for (const auto& object : objects) out << object.name << '\n';
  } else if (shape == Shape::kSingle && objects.size() == 1) {
    print_node(out, format, objects.front().json);
  } else {
    std::vector<codec::Node> items;
    for (auto& object : objects) items.push_back(std::move(object.json));
    print_node(out, format, JsonObject().add("apiVersion", "v1").add("items", json_list(std::move(items))).add("kind", "List").take());
  }
  out.flush();
}

void print_streamed(Session& session, const Format& format, NamedObject object) {
  auto& out = session.io().out;
  if (format.kind == Format::Kind::kName)
    out << object.name << '\n';
  else if (format.kind == Format::Kind::kJson)
    out << codec::to_json(object.json) << '\n';
  else if (format.kind == Format::Kind::kYaml)
    out << "---\n" << with_line_end(codec::to_yaml(object.json));
  else
    print_node(out, format, object.json);
  out.flush();
}

}  // namespace pintle::ctl
