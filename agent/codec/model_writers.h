// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The model as nlohmann::json, the way the API writes it. Internal to codec: includes nlohmann/json.
// `put` leaves empty values out, as Go's omitempty does. Lists and maps of T join by a `Json write(const T&)` declared here.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <nlohmann/json.hpp>

#include "base/quantity.h"
#include "base/time.h"
#include "model/node.h"
#include "model/status.h"

namespace pintle::codec {

using Json = nlohmann::json;

inline Json write(const std::string& value) { return value; }
inline Json write(bool value) { return value; }
inline Json write(int32_t value) { return value; }
inline Json write(int64_t value) { return value; }
inline Json write(const Quantity& value) { return value.text(); }
inline Json write(Time value) { return value == kNoTime ? Json(nullptr) : Json(format_rfc3339(value)); }
Json write(const model::ObjectMeta& meta);
Json write(const model::ObjectReference& reference);
Json write(const model::OwnerReference& owner);
Json write(const model::Resources& resources);
Json write(const model::FieldRef& reference);
Json write(const model::ResourceFieldRef& reference);
Json write(const model::VolumeMount& mount);
Json write(const model::SeccompProfile& profile);
Json write(const model::AppArmorProfile& profile);
Json write(const model::SeLinuxOptions& options);
Json write(const model::Container& container);
Json write(const model::Volume& volume);
Json write(const model::PodSpec& spec);
Json write(const model::Condition& condition);
Json write(const model::ContainerStatus& status);
Json write(const model::PodStatus& status);
Json write(const model::NodeCondition& condition);
Json write(const model::NodeAddress& address);
Json write(const model::NodeStatus& status);
Json write(const model::Taint& taint);
Json write(const model::NodeImage& image);
// Used in one file each, but lists of them are written by the templates below, which must know them.
Json write(const model::KeySelector& selector);
Json write(const model::EnvVar& env);
Json write(const model::EnvFrom& from);
Json write(const model::ContainerPort& port);
Json write(const model::VolumeDevice& device);
Json write(const model::Probe& probe);
Json write(const model::HookAction& hook);
Json write(const model::Capabilities& capabilities);
Json write(const model::SecurityContext& context);
Json write(const model::KeyToPath& item);
Json write(const model::DownwardItem& item);
Json write(const model::DownwardApiVolume& volume);
Json write(const model::HostAlias& alias);
Json write(const model::DnsOption& option);
Json write(const model::DnsConfig& config);
Json write(const model::Toleration& toleration);
Json write(const model::PodSecurityContext& context);
Json write(const model::ContainerState& state);
Json write(const model::NodeSystemInfo& info);

template <typename T>
Json write(const std::vector<T>& values) {
  Json out = Json::array();
  for (const auto& value : values) out.push_back(write(value));
  return out;
}
template <typename T>
Json write(const std::map<std::string, T>& values) {
  Json out = Json::object();
  for (const auto& [key, value] : values) out[key] = write(value);
  return out;
}

inline void put(Json& out, const char* name, std::string_view value) {
  if (!value.empty()) out[name] = value;
}
inline void put(Json& out, const char* name, const std::string& value) { put(out, name, std::string_view(value)); }
inline void put(Json& out, const char* name, const char* value) = delete;
inline void put(Json& out, const char* name, bool value) {
  if (value) out[name] = true;
}
inline void put(Json& out, const char* name, int32_t value) {
  if (value != 0) out[name] = value;
}
inline void put(Json& out, const char* name, int64_t value) {
  if (value != 0) out[name] = value;
}
template <typename T>
void put(Json& out, const char* name, const std::optional<T>& value) {
  if (value) out[name] = write(*value);
}
template <typename T>
void put(Json& out, const char* name, const std::vector<T>& values) {
  if (!values.empty()) out[name] = write(values);
}
template <typename T>
void put(Json& out, const char* name, const std::map<std::string, T>& values) {
  if (!values.empty()) out[name] = write(values);
}

// Text that is not UTF-8 (a program's last words) is sent with U+FFFD in its place instead of failing.
[[nodiscard]] inline std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace pintle::codec
