// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/object_name.h"

#include "codec/document.h"

namespace pintle::codec {
namespace {

std::string text_of(const Node& object, std::string_view key) {
  const Node* value = object.find(key);
  return value != nullptr && value->is_string() ? value->text : std::string();
}

Result<ObjectName> name_of(const Node& object) {
  const Node* meta = object.is_map() ? object.find("metadata") : nullptr;
  if (meta == nullptr || !meta->is_map()) return fail(Code::kInvalid, "metadata: expected a mapping");
  return ObjectName{.namespace_ = text_of(*meta, "namespace"),
                    .name = text_of(*meta, "name"),
                    .uid = text_of(*meta, "uid"),
                    .resource_version = text_of(*meta, "resourceVersion")};
}

}  // namespace

Result<ObjectName> decode_object_name(std::string_view json) {
  PINTLE_ASSIGN_OR_RETURN(const Node root, parse_json(json, ""));
  return name_of(root);
}

Result<std::vector<ListedObject>> split_list(std::string_view json) {
  PINTLE_ASSIGN_OR_RETURN(const Node root, parse_json(json, ""));
  const Node* items = root.is_map() ? root.find("items") : nullptr;
  if (items == nullptr || !items->is_list()) return fail(Code::kInvalid, "items: expected a list");
  std::vector<ListedObject> out;
  for (const Node& item : items->children) out.push_back({name_of(item).value_or(ObjectName()), to_json(item)});
  return out;
}

std::string nameless(std::string_view json) {
  const auto name = decode_object_name(json);
  if (!name) return name.error().message();
  return "metadata.name: expected text" + (name->namespace_.empty() ? "" : " (namespace '" + name->namespace_ + "')");
}

}  // namespace pintle::codec
