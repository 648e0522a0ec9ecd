// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/pod_program.h"

#include <algorithm>

#include <fmt/format.h>

#include "codec/model_readers.h"
#include "codec/selector.h"
#include "model/names.h"

namespace pintle::codec {
namespace {

constexpr size_t kLongestFunction = 128;

bool is_file_name(std::string_view text) {
  return !text.empty() && text.size() <= 253 && text.find('/') == std::string_view::npos && text.find('\0') == std::string_view::npos &&
         text.front() != '.';
}

bool is_function(std::string_view text) {
  const auto good = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_'; };
  return !text.empty() && text.size() <= kLongestFunction && std::ranges::all_of(text, good);
}

void read_metadata(const Cursor& cursor, model::PodProgram& out) {
  Fields fields(cursor);
  fields.ignore({"labels", "annotations"});
  fields.required("name", out.name);
  fields.with("name", [&](const Cursor& at) {
    if (at.node().is_string() && !model::is_dns_label(out.name))
      at.error(fmt::format("'{}' is not a name; use a-z, 0-9 and '-', at most 63, a letter or digit at both ends", out.name.substr(0, 70)));
  });
}

void read_hook(const Cursor& cursor, model::ProgramHook& out) {
  std::string text;
  read(cursor, text);
  if (const auto hook = model::parse_program_hook(text))
    out = *hook;
  else if (cursor.node().is_string())
    cursor.error(fmt::format("'{}' is not a hook; there are {}", text.substr(0, 60), model::program_hook_names()));
}

void read_spec(const Cursor& cursor, model::PodProgram& out) {
  static constexpr std::pair<std::string_view, model::ProgramOrder> kOrders[] = {
      {"any", model::ProgramOrder::kAny}, {"before", model::ProgramOrder::kBefore}, {"after", model::ProgramOrder::kAfter}};
  static constexpr std::pair<std::string_view, bool> kPolicies[] = {{"required", true}, {"bestEffort", false}};
  Fields fields(cursor);
  fields.required("object", out.object);
  fields.with("object", [&](const Cursor& at) {
    if (at.node().is_string() && !is_file_name(out.object))
      at.error(fmt::format("'{}' is not the name of a file beside this one", out.object.substr(0, 80)));
  });
  fields.required("program", out.program);
  fields.with("program", [&](const Cursor& at) {
    if (at.node().is_string() && !is_function(out.program))
      at.error(fmt::format("'{}' is not the name of a function", out.program.substr(0, 80)));
  });
  if (fields.find("hook") == nullptr && cursor.node().is_map()) cursor.error("hook: is required");
  fields.with("hook", [&](const Cursor& at) { read_hook(at, out.hook); });
  fields.with("namespaces", [&](const Cursor& at) {
    read(at, out.namespaces);
    if (at.node().is_list() && out.namespaces.empty()) at.error("must name one at least; leave it out for all namespaces");
    for (const auto& name : out.namespaces)
      if (!model::is_dns_label(name)) at.error(fmt::format("'{}' is not the name of a namespace", name.substr(0, 70)));
  });
  fields("podSelector", out.pods);
  fields.with("order", [&](const Cursor& at) { read_name(at, out.order, kOrders); });
  fields.with("policy", [&](const Cursor& at) { read_name(at, out.required, kPolicies); });
}

}  // namespace

static void read(const Cursor& cursor, model::PodProgram& out) {
  Fields fields(cursor);
  if (cursor.node().is_map())
    for (const std::string_view name : {"apiVersion", "kind", "metadata", "spec"})
      if (fields.find(name) == nullptr) cursor.error(fmt::format("{}: is required", name));
  read_type(fields, model::kPodProgramApiVersion, model::kPodProgramKind);
  fields.with("metadata", [&](const Cursor& at) { read_metadata(at, out); });
  fields.with("spec", [&](const Cursor& at) { read_spec(at, out); });
}

PodProgramDocuments parse_pod_programs(std::string_view text, const std::string& origin) {
  auto documents = parse_documents(text, origin);
  PodProgramDocuments out{{}, std::move(documents.errors)};
  const DecodeOptions options{.origin = origin, .unknown_fields = UnknownFields::kRefuse};
  for (const auto& root : documents.roots) {
    model::PodProgram program;
    if (auto done = read_document(root, options, program); !done)
      out.errors.push_back(std::move(done).error());
    else if (std::ranges::find(out.programs, program.name, &model::PodProgram::name) != out.programs.end())
      out.errors.push_back(document_error(origin, root.line, fmt::format("metadata.name: '{}' stands in this file twice", program.name)));
    else
      out.programs.push_back(std::move(program));
  }
  return out;
}

}  // namespace pintle::codec
