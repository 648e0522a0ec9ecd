// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "fakes/kube/fake_store.h"

#include <cstdlib>

#include <fmt/format.h>

namespace pintle::fakes {
namespace {

const char* kind_of(const std::string& resource) {
  static const std::map<std::string, const char*> kinds = {{"pods", "Pod"},
                                                           {"nodes", "Node"},
                                                           {"leases", "Lease"},
                                                           {"events", "Event"},
                                                           {"secrets", "Secret"},
                                                           {"configmaps", "ConfigMap"},
                                                           {"serviceaccounts", "ServiceAccount"},
                                                           {"namespaces", "Namespace"},
                                                           {"services", "Service"},
                                                           {"networkpolicies", "NetworkPolicy"},
                                                           {"endpointslices", "EndpointSlice"}};
  const auto at = kinds.find(resource);
  return at == kinds.end() ? "Object" : at->second;
}
const char* api_version_of(const std::string& resource) {
  if (resource == "leases") return "coordination.k8s.io/v1";
  if (resource == "networkpolicies") return "networking.k8s.io/v1";
  return resource == "endpointslices" ? "discovery.k8s.io/v1" : "v1";
}

// By which member the items of a list are told apart; null: the list is replaced whole.
const char* merge_key(const std::string& list) {
  static const std::map<std::string, const char*> keys = {
      {"conditions", "type"}, {"podIPs", "ip"}, {"hostIPs", "ip"}, {"addresses", "type"}, {"ownerReferences", "uid"}};
  const auto at = keys.find(list);
  return at == keys.end() ? nullptr : at->second;
}

void merge(Json& target, const Json& patch);

void merge_list(Json& target, const Json& patch, const char* key) {
  if (!target.is_array()) target = Json::array();
  for (const auto& item : patch)
    if (item.value("$patch", "") == "replace") target = Json::array();
  for (const auto& item : patch) {
    const std::string directive = item.value("$patch", "");
    if (directive == "replace") continue;
    auto at = target.begin();
    while (at != target.end() && at->value(key, "") != item.value(key, "")) ++at;
    if (directive == "delete") {
      if (at != target.end()) target.erase(at);
    } else if (at == target.end()) {
      Json fresh = Json::object();
      merge(fresh, item);
      target.push_back(std::move(fresh));
    } else {
      merge(*at, item);
    }
  }
}

void merge(Json& target, const Json& patch) {
  if (!target.is_object()) target = Json::object();
  for (const auto& [name, value] : patch.items()) {
    if (name.starts_with("$")) continue;
    if (value.is_null())
      target.erase(name);
    else if (value.is_object())
      merge(target[name], value);
    else if (value.is_array() && merge_key(name) != nullptr)
      merge_list(target[name], value, merge_key(name));
    else
      target[name] = value;
  }
}

std::string full(const std::string& resource, const std::string& name) { return fmt::format("{} \"{}\"", resource, name); }

}  // namespace

Json status_object(int code, const std::string& reason, const std::string& message) {
  return {{"kind", "Status"}, {"apiVersion", "v1"}, {"metadata", Json::object()}, {"status", "Failure"},
          {"code", code},     {"reason", reason},   {"message", message}};
}

Json& FakeStore::commit(const std::string& at, const std::string& resource, const std::string& type, Json object) {
  object["metadata"]["resourceVersion"] = std::to_string(++version_);
  history_.push_back({version_, resource, type, object});
  return objects_[at] = std::move(object);
}

StoreReply FakeStore::get(const std::string& resource, const std::string& space, const std::string& name) const {
  const auto at = objects_.find(key(resource, space, name));
  if (at == objects_.end()) return {404, status_object(404, "NotFound", full(resource, name) + " not found")};
  return {200, at->second};
}

StoreReply FakeStore::create(const std::string& resource, const std::string& space, Json object) {
  auto& meta = object["metadata"];
  const std::string name = meta.value("name", "");
  if (name.empty())
    return {422, status_object(422, "Invalid",
                               fmt::format("{} is invalid: metadata.name: Required value: name or generateName is required", resource))};
  const std::string at = key(resource, space, name);
  if (objects_.contains(at)) return {409, status_object(409, "AlreadyExists", full(resource, name) + " already exists")};
  object["kind"] = kind_of(resource);
  object["apiVersion"] = api_version_of(resource);
  if (!space.empty()) meta["namespace"] = space;
  if (meta.value("uid", "").empty()) meta["uid"] = fmt::format("fake-uid-{}", next_uid_++);
  meta["creationTimestamp"] = "2026-01-01T00:00:00Z";
  return {201, commit(at, resource, "ADDED", std::move(object))};
}

StoreReply FakeStore::replace(const std::string& resource, const std::string& space, const std::string& name, Json object) {
  const std::string at = key(resource, space, name);
  const auto old = objects_.find(at);
  if (old == objects_.end()) return {404, status_object(404, "NotFound", full(resource, name) + " not found")};
  const std::string version = object["metadata"].value("resourceVersion", "");
  if (!version.empty() && version != old->second["metadata"].value("resourceVersion", ""))
    return {409,
            status_object(409, "Conflict",
                          fmt::format("Operation cannot be fulfilled on {}: the object has been modified; please apply your changes to the "
                                      "latest version and try again",
                                      full(resource, name)))};
  object["kind"] = kind_of(resource);
  object["apiVersion"] = api_version_of(resource);
  object["metadata"]["uid"] = old->second["metadata"]["uid"];
  return {200, commit(at, resource, "MODIFIED", std::move(object))};
}

StoreReply FakeStore::patch(const std::string& resource, const std::string& space, const std::string& name, const Json& patch,
                            bool status_only) {
  const std::string at = key(resource, space, name);
  const auto old = objects_.find(at);
  if (old == objects_.end()) return {404, status_object(404, "NotFound", full(resource, name) + " not found")};
  Json object = old->second;
  const std::string uid = patch.value("metadata", Json::object()).value("uid", "");
  const std::string have = object["metadata"].value("uid", "");
  if (!uid.empty() && uid != have)
    return {422, status_object(
                     422, "Invalid",
                     fmt::format("{} is invalid: metadata.uid: Invalid value: \"{}\": field is immutable", full(resource, name), uid))};
  if (status_only)
    merge(object["status"], patch.value("status", Json::object()));
  else
    merge(object, patch);
  if (object == old->second) return {200, object};
  return {200, commit(at, resource, "MODIFIED", std::move(object))};
}

StoreReply FakeStore::remove(const std::string& resource, const std::string& space, const std::string& name, const Json& options) {
  const std::string at = key(resource, space, name);
  const auto old = objects_.find(at);
  if (old == objects_.end()) return {404, status_object(404, "NotFound", full(resource, name) + " not found")};
  const std::string uid = options.value("preconditions", Json::object()).value("uid", "");
  if (!uid.empty() && uid != old->second["metadata"].value("uid", ""))
    return {409, status_object(409, "Conflict",
                               fmt::format("Operation cannot be fulfilled on {}: Precondition failed: UID", full(resource, name)))};
  Json object = commit(at, resource, "DELETED", old->second);
  objects_.erase(at);
  return {200, object};
}

namespace {

bool has_label(const Json& object, const std::string& selector) {
  const size_t equals = selector.find('=');
  if (equals == std::string::npos) return selector.empty();
  const Json labels = object["metadata"].value("labels", Json::object());
  return labels.is_object() && labels.value(selector.substr(0, equals), Json()) == selector.substr(equals + 1);
}

bool has_field(const Json& object, const std::string& field_selector) {
  const size_t equals = field_selector.find('=');
  if (equals == std::string::npos) return field_selector.empty();
  const Json* at = &object;
  const std::string field = field_selector.substr(0, equals);
  for (size_t start = 0; start < field.size();) {
    const size_t dot = std::min(field.find('.', start), field.size());
    const auto found = at->find(field.substr(start, dot - start));
    if (found == at->end()) return field_selector.substr(equals + 1).empty();
    at = &*found;
    start = dot + 1;
  }
  return at->is_string() && at->get<std::string>() == field_selector.substr(equals + 1);
}

}  // namespace

bool is_selected(const Json& object, const Selector& selector) {
  return has_field(object, selector.field) && has_label(object, selector.label);
}

StoreReply FakeStore::list(const std::string& resource, const Selector& selector, const std::string& continue_token, size_t limit) const {
  const size_t offset = std::strtoull(continue_token.c_str(), nullptr, 10), dot = continue_token.find('.');
  const std::string version = dot == std::string::npos ? std::to_string(version_) : continue_token.substr(dot + 1);
  Json items = Json::array();
  size_t seen = 0, left = 0;
  for (const auto& [at, object] : objects_) {
    if (!at.starts_with(resource + "/")) continue;
    if (!is_selected(object, selector)) continue;
    if (seen++ < offset) continue;
    if (limit != 0 && items.size() == limit)
      ++left;
    else
      items.push_back(object);
  }
  Json meta = {{"resourceVersion", version}};
  if (left > 0) meta["continue"] = std::to_string(offset + limit) + "." + version;
  return {
      200,
      {{"kind", std::string(kind_of(resource)) + "List"}, {"apiVersion", api_version_of(resource)}, {"metadata", meta}, {"items", items}}};
}

}  // namespace pintle::fakes
