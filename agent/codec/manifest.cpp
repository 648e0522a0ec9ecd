// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/manifest.h"

#include <charconv>
#include <map>

#include <fmt/format.h>

#include "codec/document.h"
#include "codec/model_readers.h"
#include "model/defaults.h"
#include "model/validate.h"

namespace pintle::codec {
namespace {

struct ParsedObject {
  ManifestObject object;
  Node root;
};
struct ParsedManifest {
  std::vector<ParsedObject> objects;
  std::vector<Error> errors;
};

// What every object must have: apiVersion, kind, metadata.name.
void read_identity(const Cursor& cursor, ManifestObject& out) {
  Fields fields(cursor);
  fields.accept_rest();
  fields.required("apiVersion", out.api_version);
  fields.required("kind", out.kind);
  if (fields.find("metadata") == nullptr && cursor.node().is_map()) return cursor.log().add(cursor.node().line, "metadata", "is required");
  fields.with("metadata", [&](const Cursor& at) {
    Fields metadata(at);
    metadata.accept_rest();
    metadata.required("name", out.name);
    metadata("namespace", out.namespace_);
    if (at.node().find("name") != nullptr && at.node().find("name")->is_string() && out.name.empty())
      Cursor(at, *at.node().find("name"), "name").error("is empty; give the object a name");
  });
}

void add_object(Node root, const std::string& origin, ParsedManifest& out) {
  ParsedObject parsed;
  ReadLog log({.origin = origin, .unknown_fields = UnknownFields::kRefuse});
  parsed.object.line = root.line;
  read_identity(Cursor(log, root), parsed.object);
  if (!log.empty()) {
    for (auto& error : log.take_errors()) out.errors.push_back(std::move(error));
    return;
  }
  parsed.object.json = to_json(root);
  parsed.root = std::move(root);
  out.objects.push_back(std::move(parsed));
}

// Items of a PodList and the like may leave out what the list's kind already says.
void inherit_type(Node& item, std::string_view list_kind, std::string_view api_version) {
  if (!item.is_map() || list_kind == "List") return;
  const auto add = [&](std::string_view key, std::string_view text) {
    if (item.find(key) != nullptr) return;
    Node node;
    node.kind = Node::Kind::kString;
    node.line = item.line;
    node.key = key;
    node.text = text;
    item.children.push_back(std::move(node));
  };
  add("apiVersion", api_version);
  add("kind", list_kind.substr(0, list_kind.size() - std::string_view("List").size()));
}

void add_document(Node root, const std::string& origin, ParsedManifest& out) {
  if (!root.is_map()) {
    out.errors.push_back(
        document_error(origin, root.line, fmt::format("expected an object with apiVersion and kind, found {}", to_string(root.kind))));
    return;
  }
  const Node* kind = root.find("kind");
  const Node* version = root.find("apiVersion");
  const bool is_list = kind != nullptr && kind->is_string() && kind->text.ends_with("List") && root.find("items") != nullptr;
  if (!is_list) return add_object(std::move(root), origin, out);
  const std::string list_kind = kind->text;
  const std::string list_version = version != nullptr && version->is_string() ? version->text : "v1";
  for (auto& child : root.children) {
    if (child.key != "items" || child.is_null()) continue;
    if (!child.is_list()) {
      out.errors.push_back(document_error(origin, child.line, fmt::format("items: expected a list, found {}", to_string(child.kind))));
      continue;
    }
    for (auto& item : child.children) {
      inherit_type(item, list_kind, list_version);
      // A List in a List is no object; it lacks metadata.name and is refused for that.
      add_object(std::move(item), origin, out);
    }
  }
}

ParsedManifest parse(std::string_view text, const std::string& origin) {
  ParsedManifest out;
  Documents documents = parse_documents(text, origin);
  for (auto& root : documents.roots) add_document(std::move(root), origin, out);
  for (auto& error : documents.errors) out.errors.push_back(std::move(error));
  return out;
}

// The line of "spec.containers[1].name", or of the nearest thing around it that the document has.
int line_of(const Node& root, std::string_view path) {
  const Node* node = &root;
  while (!path.empty()) {
    if (path[0] == '.') path.remove_prefix(1);
    const Node* next = nullptr;
    if (path.starts_with('[')) {
      size_t index = 0;
      const size_t close = std::min(path.find(']'), path.size());
      const auto [end, error] = std::from_chars(path.data() + 1, path.data() + close, index);
      if (error == std::errc{} && end == path.data() + close && node->is_list() && index < node->children.size())
        next = &node->children[index];
      if (next == nullptr && node->is_map()) next = node->find(path.substr(1, close - 1));
      path.remove_prefix(std::min(close + 1, path.size()));
    } else {
      const size_t end = std::min(path.find_first_of(".["), path.size());
      next = node->find(path.substr(0, end));
      path.remove_prefix(end);
    }
    if (next == nullptr) break;
    node = next;
  }
  return node->line;
}

// The pod of one document, or the errors that kept it from being one.
void add_pod(ParsedObject parsed, const std::string& origin, ManifestPods& out) {
  ReadLog log({.origin = origin, .unknown_fields = UnknownFields::kRefuse});
  model::Pod pod;
  read(Cursor(log, parsed.root), pod);
  if (!log.empty()) {
    for (auto& error : log.take_errors()) out.errors.push_back(std::move(error));
    return;
  }
  model::apply_defaults(pod);
  const auto problems = model::validate(pod);
  for (const auto& problem : problems)
    out.errors.push_back(document_error(origin, line_of(parsed.root, problem.path), fmt::format("{}: {}", problem.path, problem.problem)));
  if (problems.empty()) out.pods.push_back(std::move(pod));
}

}  // namespace

Manifest parse_manifest(std::string_view text, const std::string& origin) {
  ParsedManifest parsed = parse(text, origin);
  Manifest out;
  out.errors = std::move(parsed.errors);
  for (auto& object : parsed.objects) out.objects.push_back(std::move(object.object));
  return out;
}

ManifestPods parse_pod_manifest(std::string_view text, const std::string& origin) {
  ParsedManifest parsed = parse(text, origin);
  ManifestPods out;
  out.errors = std::move(parsed.errors);
  std::map<std::string, int> first_line;
  for (auto& object : parsed.objects) {
    if (object.object.kind != "Pod") {
      out.others.push_back(std::move(object.object));
      continue;
    }
    const std::string name = (object.object.namespace_.empty() ? "default" : object.object.namespace_) + "/" + object.object.name;
    const auto [first, is_new] = first_line.emplace(name, object.object.line);
    if (!is_new) {
      out.errors.push_back(
          document_error(origin, object.object.line,
                         fmt::format("metadata.name: the pod '{}' is already defined in line {}; rename one", name, first->second)));
      continue;
    }
    add_pod(std::move(object), origin, out);
  }
  return out;
}

}  // namespace pintle::codec
