// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The kinds of object that the endpoint serves, as discovery tells them. Constant data.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace pintle::standalone {

struct ResourceType {
  std::string_view group, version, plural, singular, kind, short_name, category;
  bool namespaced = true;
  bool has_status = false;

  [[nodiscard]] std::string api_version() const {
    return group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
  }
  // As ports::ObjectKey::resource.
  [[nodiscard]] std::string id() const { return group.empty() ? std::string(plural) : std::string(plural) + "." + std::string(group); }
};

[[nodiscard]] std::span<const ResourceType> resource_types();
// API groups beside the core one, each in version v1.
[[nodiscard]] std::span<const std::string_view> api_groups();
// nullptr: not served.
[[nodiscard]] const ResourceType* find_resource_type(std::string_view group, std::string_view version, std::string_view plural);

namespace resources {
extern const ResourceType& kPods;
extern const ResourceType& kNamespaces;
extern const ResourceType& kNodes;
extern const ResourceType& kEvents;
extern const ResourceType& kSecrets;
extern const ResourceType& kConfigMaps;
extern const ResourceType& kServiceAccounts;
extern const ResourceType& kLeases;
extern const ResourceType& kServices;
extern const ResourceType& kNetworkPolicies;
extern const ResourceType& kEndpointSlices;
}  // namespace resources

}  // namespace pintle::standalone
