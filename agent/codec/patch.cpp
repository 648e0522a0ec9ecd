// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Strategic-merge patches by the merge rules of the API types: conditions by type, podIPs and hostIPs by ip,
// addresses by type (replaced as a whole, since two may share a type), container statuses and images atomic.
#include <algorithm>
#include <array>

#include "codec/model_writers.h"
#include "codec/objects.h"

namespace pintle::codec {
namespace {

// Conditions that only the node agent writes (facts row 6.3): one of these that is gone is deleted, others are left alone.
constexpr std::array<std::string_view, 8> kOwnedConditions = {
    "PodScheduled", "PodReadyToStartContainers", "Initialized",         "ContainersReady",
    "Ready",        "PodResizePending",          "PodResizeInProgress", "AllContainersRestarting"};

// Names whose value is another now, and null for names that are gone.
Json changed_fields(const Json& before, const Json& after) {
  Json out = Json::object();
  for (const auto& [name, value] : after.items()) {
    const auto old = before.find(name);
    if (old == before.end() || *old != value) out[name] = value;
  }
  for (const auto& [name, value] : before.items())
    if (!after.contains(name)) out[name] = nullptr;
  return out;
}

const Json* find_by(const Json& list, const char* key, const Json& value) {
  for (const auto& item : list)
    if (item.at(key) == value) return &item;
  return nullptr;
}

// Changed and new conditions, whole, since the API's copy may have fields that this one must not keep.
Json changed_conditions(const Json& before, const Json& after) {
  Json out = Json::array();
  for (Json condition : after) {
    // By its whole value first: nothing keeps an object from having two conditions of one type.
    if (std::ranges::find(before, condition) != before.end()) continue;
    const Json* old = find_by(before, "type", condition.at("type"));
    if (old != nullptr)
      for (const auto& [name, value] : old->items())
        if (!condition.contains(name)) condition[name] = nullptr;
    out.push_back(std::move(condition));
  }
  return out;
}

void add_removed_conditions(const Json& before, const Json& after, Json& out) {
  for (const auto& condition : before) {
    const Json& type = condition.at("type");
    const bool owned = std::ranges::find(kOwnedConditions, type.get_ref<const std::string&>()) != kOwnedConditions.end();
    if (owned && find_by(after, "type", type) == nullptr) out.push_back({{"$patch", "delete"}, {"type", type}});
  }
}

// New addresses and deletions of old ones. The order is stated where there is one to state.
void put_addresses(Json& patch, const std::string& name, const Json& before, const Json& after) {
  if (before == after) return;
  Json items = Json::array();
  for (const auto& address : before)
    if (find_by(after, "ip", address.at("ip")) == nullptr) items.push_back({{"$patch", "delete"}, {"ip", address.at("ip")}});
  for (const auto& address : after) items.push_back(address);
  patch[name] = std::move(items);
  if (after.size() > 1) patch["$setElementOrder/" + name] = after;
}

Json take(Json& object, const char* name) {
  const auto found = object.find(name);
  if (found == object.end()) return Json::array();
  Json out = std::move(*found);
  object.erase(found);
  return out;
}

std::string finished(Json status, const std::string& uid) {
  if (status.empty()) return "{}";
  Json patch = {{"status", std::move(status)}};
  if (!uid.empty()) patch["metadata"]["uid"] = uid;
  return dump(patch);
}

}  // namespace

std::string pod_status_patch(const model::Pod& last_known, const model::PodStatus& status) {
  Json before = write(last_known.status);
  Json after = write(status);
  const Json old_conditions = take(before, "conditions");
  const Json new_conditions = take(after, "conditions");
  const Json old_host_ips = take(before, "hostIPs");
  const Json new_host_ips = take(after, "hostIPs");
  const Json old_pod_ips = take(before, "podIPs");
  const Json new_pod_ips = take(after, "podIPs");

  Json patch = changed_fields(before, after);
  Json conditions = changed_conditions(old_conditions, new_conditions);
  add_removed_conditions(old_conditions, new_conditions, conditions);
  if (!conditions.empty()) patch["conditions"] = std::move(conditions);
  put_addresses(patch, "hostIPs", old_host_ips, new_host_ips);
  put_addresses(patch, "podIPs", old_pod_ips, new_pod_ips);
  return finished(std::move(patch), last_known.metadata.uid);
}

std::string node_status_patch(const model::Node& last_known, const model::NodeStatus& status) {
  Json before = write(last_known.status);
  Json after = write(status);
  const Json old_conditions = take(before, "conditions");
  const Json new_conditions = take(after, "conditions");
  const Json old_addresses = take(before, "addresses");
  const Json new_addresses = take(after, "addresses");

  Json patch = Json::object();
  // Maps of maps: only the members that differ, so that what others publish there (extended resources) stays.
  for (const char* name : {"capacity", "allocatable", "nodeInfo"}) {
    const Json old_map = before.contains(name) ? before[name] : Json::object();
    const Json new_map = after.contains(name) ? after[name] : Json::object();
    if (Json changes = changed_fields(old_map, new_map); !changes.empty()) patch[name] = std::move(changes);
    before.erase(name);
    after.erase(name);
  }
  patch.update(changed_fields(before, after));
  if (Json conditions = changed_conditions(old_conditions, new_conditions); !conditions.empty())
    patch["conditions"] = std::move(conditions);
  if (old_addresses != new_addresses) {
    Json& addresses = patch["addresses"] = Json::array({{{"$patch", "replace"}}});
    for (const auto& address : new_addresses) addresses.push_back(address);
  }
  return finished(std::move(patch), last_known.metadata.uid);
}

std::string node_metadata_patch(const model::Node& node) {
  Json metadata = Json::object();
  put(metadata, "labels", node.metadata.labels);
  put(metadata, "annotations", node.metadata.annotations);
  if (metadata.empty()) return "{}";
  return dump({{"metadata", metadata}});
}

}  // namespace pintle::codec
