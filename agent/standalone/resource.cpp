// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/resource.h"

#include <array>

namespace pintle::standalone {
namespace {

constexpr std::array<ResourceType, 11> kTypes{{
    {"", "v1", "configmaps", "configmap", "ConfigMap", "cm", "", true, false},
    {"", "v1", "events", "event", "Event", "ev", "", true, false},
    {"", "v1", "namespaces", "namespace", "Namespace", "ns", "", false, true},
    {"", "v1", "nodes", "node", "Node", "no", "", false, true},
    {"", "v1", "pods", "pod", "Pod", "po", "all", true, true},
    {"", "v1", "secrets", "secret", "Secret", "", "", true, false},
    {"", "v1", "serviceaccounts", "serviceaccount", "ServiceAccount", "sa", "", true, false},
    {"coordination.k8s.io", "v1", "leases", "lease", "Lease", "", "", true, false},
    {"", "v1", "services", "service", "Service", "svc", "all", true, true},
    {"networking.k8s.io", "v1", "networkpolicies", "networkpolicy", "NetworkPolicy", "netpol", "", true, false},
    {"discovery.k8s.io", "v1", "endpointslices", "endpointslice", "EndpointSlice", "", "", true, false},
}};

}  // namespace

namespace resources {
constinit const ResourceType& kConfigMaps = kTypes[0];
constinit const ResourceType& kEvents = kTypes[1];
constinit const ResourceType& kNamespaces = kTypes[2];
constinit const ResourceType& kNodes = kTypes[3];
constinit const ResourceType& kPods = kTypes[4];
constinit const ResourceType& kSecrets = kTypes[5];
constinit const ResourceType& kServiceAccounts = kTypes[6];
constinit const ResourceType& kLeases = kTypes[7];
constinit const ResourceType& kServices = kTypes[8];
constinit const ResourceType& kNetworkPolicies = kTypes[9];
constinit const ResourceType& kEndpointSlices = kTypes[10];
}  // namespace resources

std::span<const std::string_view> api_groups() {
  static constexpr std::array<std::string_view, 3> kGroups{"coordination.k8s.io", "discovery.k8s.io", "networking.k8s.io"};
  return kGroups;
}

std::span<const ResourceType> resource_types() { return kTypes; }

const ResourceType* find_resource_type(std::string_view group, std::string_view version, std::string_view plural) {
  for (const auto& type : kTypes)
    if (type.group == group && type.version == version && type.plural == plural) return &type;
  return nullptr;
}

}  // namespace pintle::standalone
