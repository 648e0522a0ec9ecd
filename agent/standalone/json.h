// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Raw API objects as JSON trees, and readers that never throw: a missing or mistyped field reads as absent.
// API objects stay raw here because fields unknown to the model must survive a round trip. Plain values.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

namespace pintle::standalone {

using Json = nlohmann::json;

[[nodiscard]] inline const Json* find(const Json& object, const char* key) {
  if (!object.is_object()) return nullptr;
  const auto it = object.find(key);
  return it == object.end() || it->is_null() ? nullptr : &*it;
}
template <typename... Keys>
[[nodiscard]] const Json* find(const Json& object, const char* key, Keys... rest) {
  const Json* inner = find(object, key);
  return inner == nullptr ? nullptr : find(*inner, rest...);
}
template <typename... Keys>
[[nodiscard]] std::string text_at(const Json& object, Keys... keys) {
  const Json* found = find(object, keys...);
  return found != nullptr && found->is_string() ? found->template get<std::string>() : std::string();
}
template <typename... Keys>
[[nodiscard]] std::optional<int64_t> integer_at(const Json& object, Keys... keys) {
  const Json* found = find(object, keys...);
  return found != nullptr && found->is_number_integer() ? std::optional(found->template get<int64_t>()) : std::nullopt;
}
template <typename... Keys>
[[nodiscard]] bool flag_at(const Json& object, Keys... keys) {
  const Json* found = find(object, keys...);
  return found != nullptr && found->is_boolean() && found->template get<bool>();
}
// An empty array when absent or not an array, so that it can be iterated.
template <typename... Keys>
[[nodiscard]] const Json& list_at(const Json& object, Keys... keys) {
  static const Json kEmpty = Json::array();
  const Json* found = find(object, keys...);
  return found != nullptr && found->is_array() ? *found : kEmpty;
}
// REQUIRES: `object` is an object. The mapping at `key`, made when absent or of another type.
[[nodiscard]] inline Json& mapping(Json& object, const char* key) {
  Json& inner = object[key];
  if (!inner.is_object()) inner = Json::object();
  return inner;
}
// Text that isn't UTF-8 is replaced instead of throwing.
[[nodiscard]] inline std::string dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace); }

}  // namespace pintle::standalone
