// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
// Strategic merge: as a JSON merge patch, except that lists of named things are merged by their merge key, and directives
// in the patch can delete, replace, order and retain. A list without a known merge key is replaced as a whole.
#include <algorithm>
#include <map>
#include <string>

#include <fmt/format.h>

#include "standalone/patch.h"

namespace pintle::standalone {
namespace {

constexpr std::string_view kOrder = "$setElementOrder/", kDeletePrimitive = "$deleteFromPrimitiveList/";
constexpr int kDeepest = 64;

// Field name -> merge key, over all kinds served here: the names mean the same wherever they occur in them.
std::string_view merge_key(std::string_view field) {
  static const std::map<std::string_view, std::string_view> kKeys{{"containers", "name"},
                                                                  {"initContainers", "name"},
                                                                  {"ephemeralContainers", "name"},
                                                                  {"volumes", "name"},
                                                                  {"env", "name"},
                                                                  {"imagePullSecrets", "name"},
                                                                  {"secrets", "name"},
                                                                  {"resourceClaims", "name"},
                                                                  {"schedulingGates", "name"},
                                                                  {"ports", "containerPort"},
                                                                  {"volumeMounts", "mountPath"},
                                                                  {"volumeDevices", "devicePath"},
                                                                  {"conditions", "type"},
                                                                  {"addresses", "type"},
                                                                  {"podIPs", "ip"},
                                                                  {"hostIPs", "ip"},
                                                                  {"hostAliases", "ip"},
                                                                  {"ownerReferences", "uid"},
                                                                  {"topologySpreadConstraints", "topologyKey"}};
  const auto it = kKeys.find(field);
  return it == kKeys.end() ? std::string_view() : it->second;
}

// A service's ports have no containerPort: there the key is another.
std::string_view merge_key(std::string_view field, const Json& list) {
  const std::string_view key = merge_key(field);
  const bool of_service = field == "ports" && list.is_array() && !list.empty() && list.front().is_object() &&
                          !list.front().contains("containerPort") && list.front().contains("port");
  return of_service ? std::string_view("port") : key;
}

bool merges_as_set(std::string_view field) { return field == "finalizers" || field == "podCIDRs"; }

ApiResult<Json> merge_object(const Json& object, const Json& patch, int depth);

Json::iterator find_element(Json& list, const std::string& key, const Json& value) {
  return std::find_if(list.begin(), list.end(), [&](const Json& element) {
    const Json* found = find(element, key.c_str());
    return found != nullptr && *found == value;
  });
}

// Puts the elements named by `order` into that order, each at a place one of them held; the others stay where they are relative to them.
void set_order(Json& list, const Json& order, const std::string& key) {
  const auto rank = [&](const Json& element) -> std::ptrdiff_t {
    const auto& wanted = order;
    for (size_t i = 0; i < wanted.size(); ++i) {
      if (key.empty() ? wanted[i] == element
                      : find(wanted[i], key.c_str()) != nullptr && find(element, key.c_str()) != nullptr &&
                            *find(wanted[i], key.c_str()) == *find(element, key.c_str()))
        return static_cast<std::ptrdiff_t>(i);
    }
    return -1;
  };
  std::multimap<std::ptrdiff_t, Json> ordered;
  Json result = Json::array(), unnamed = Json::array();
  for (auto& element : list) {
    if (const auto at = rank(element); at >= 0)
      ordered.emplace(at, std::move(element));
    else
      unnamed.push_back(std::move(element));
  }
  for (auto& [at, element] : ordered) result.push_back(std::move(element));
  for (auto& element : unnamed) result.push_back(std::move(element));
  list = std::move(result);
}

ApiResult<Json> merge_named_list(const Json& current, const Json& patch, std::string_view field, int depth) {
  const std::string key(merge_key(field, patch));
  Json merged = current.is_array() ? current : Json::array();
  for (const auto& change : patch)
    if (text_at(change, "$patch") == "replace") merged = Json::array();  // the rest of the patch is the new list
  for (const auto& change : patch) {
    const std::string directive = text_at(change, "$patch");
    if (directive == "replace") continue;
    const Json* value = find(change, key.c_str());
    if (value == nullptr) return bad_request(fmt::format("map: an element of '{}' does not contain declared merge key: {}", field, key));
    const auto it = find_element(merged, key, *value);
    if (directive == "delete") {
      if (it != merged.end()) merged.erase(it);
      continue;
    }
    auto element = merge_object(it == merged.end() ? Json::object() : *it, change, depth + 1);
    if (!element) return element;
    if (it == merged.end())
      merged.push_back(*std::move(element));
    else
      *it = *std::move(element);
  }
  return merged;
}

Json merge_set(const Json& current, const Json& patch) {
  Json merged = current.is_array() ? current : Json::array();
  for (const auto& value : patch)
    if (std::find(merged.begin(), merged.end(), value) == merged.end()) merged.push_back(value);
  return merged;
}

ApiResult<Json> merge_value(const Json& current, const Json& patch, const std::string& field, int depth) {
  if (patch.is_object()) return merge_object(current.is_object() ? current : Json::object(), patch, depth + 1);
  if (patch.is_array() && !merge_key(field).empty()) return merge_named_list(current, patch, field, depth);
  if (patch.is_array() && merges_as_set(field)) return merge_set(current, patch);
  return patch;
}

// Only the keys that $retainKeys lists survive in the object.
void retain_keys(Json& object, const Json& keys) {
  for (auto it = object.begin(); it != object.end();)
    it = std::find(keys.begin(), keys.end(), it.key()) == keys.end() ? object.erase(it) : std::next(it);
}

void apply_list_directives(Json& merged, const Json& patch) {
  for (const auto& [name, value] : patch.items()) {
    if (name.starts_with(kDeletePrimitive) && value.is_array()) {
      Json& list = merged[name.substr(kDeletePrimitive.size())];
      for (const auto& gone : value)
        if (list.is_array()) list.erase(std::remove(list.begin(), list.end(), gone), list.end());
    }
    if (name.starts_with(kOrder) && value.is_array()) {
      const std::string field = name.substr(kOrder.size());
      if (const auto it = merged.find(field); it != merged.end() && it->is_array())
        set_order(*it, value, std::string(merge_key(field, value)));
    }
  }
}

ApiResult<Json> merge_object(const Json& object, const Json& patch, int depth) {
  if (depth > kDeepest) return bad_request("the patch is nested too deeply");
  const std::string directive = text_at(patch, "$patch");
  if (!directive.empty() && directive != "replace" && directive != "delete" && directive != "merge")
    return bad_request(fmt::format("unknown patch directive '{}'", directive));
  Json merged = directive.empty() || directive == "merge" ? object : Json::object();
  if (directive == "delete") return merged;
  if (const Json* keys = find(patch, "$retainKeys"); keys != nullptr && keys->is_array()) retain_keys(merged, *keys);
  for (const auto& [field, value] : patch.items()) {
    if (field.starts_with('$')) continue;
    if (value.is_null()) {
      merged.erase(field);
      continue;
    }
    const auto it = merged.find(field);
    auto result = merge_value(it == merged.end() ? Json() : *it, value, field, depth);
    if (!result) return result;
    merged[field] = *std::move(result);
  }
  apply_list_directives(merged, patch);
  return merged;
}

}  // namespace

ApiResult<Json> strategic_merge(const Json& object, const Json& patch) { return merge_object(object, patch, 0); }

}  // namespace pintle::standalone
