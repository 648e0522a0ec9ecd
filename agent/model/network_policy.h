// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Network policies (networking.k8s.io/v1) as the API has them, and of the cluster's other objects just what policies can see of them:
// these views are kept for every pod of the cluster, so they are small. What the rules mean is policy/compile.h's.
// Plain values.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "model/meta.h"
#include "model/policy_rows.h"
#include "model/status.h"

namespace pintle::model {

struct LabelRequirement {
  enum class Op { kIn, kNotIn, kExists, kDoesNotExist };
  std::string key;
  Op op = Op::kExists;
  std::vector<std::string> values;
  bool operator==(const LabelRequirement&) const = default;
};
// Empty: selects everything.
struct LabelSelector {
  StringMap match_labels;
  std::vector<LabelRequirement> match_expressions;
  bool operator==(const LabelSelector&) const = default;
  [[nodiscard]] bool matches(const StringMap& labels) const;
};

struct NetworkPolicyPort {
  uint8_t protocol = 6;                                     // IPPROTO_TCP, _UDP, _SCTP
  std::variant<std::monostate, int32_t, std::string> port;  // none: every port of the protocol
  std::optional<int32_t> end_port;                          // with a number only
  bool operator==(const NetworkPolicyPort&) const = default;
};
struct IpBlock {
  IpPrefix cidr;
  std::vector<IpPrefix> except;
  bool operator==(const IpBlock&) const = default;
};
// Either a block, or pods: of the policy's own namespace when `namespaces` is absent, every pod of those namespaces when `pods` is.
struct NetworkPolicyPeer {
  std::optional<LabelSelector> pods, namespaces;
  std::optional<IpBlock> block;
  bool operator==(const NetworkPolicyPeer&) const = default;
};
struct NetworkPolicyRule {
  std::vector<NetworkPolicyPeer> peers;  // empty: everyone
  std::vector<NetworkPolicyPort> ports;  // empty: every port and protocol
  bool operator==(const NetworkPolicyRule&) const = default;
};
struct NetworkPolicy {
  std::string namespace_, name, uid;
  LabelSelector pods;
  bool isolates_ingress = false, isolates_egress = false;  // policyTypes, defaulted
  std::vector<NetworkPolicyRule> ingress, egress;
  bool operator==(const NetworkPolicy&) const = default;
  [[nodiscard]] std::string full_name() const { return namespace_ + "/" + name; }
};

struct NamedPort {
  std::string name;
  uint8_t protocol = 6;
  uint16_t port = 0;
  auto operator<=>(const NamedPort&) const = default;
};
struct NamespaceView {
  std::string name;
  StringMap labels;
  bool operator==(const NamespaceView&) const = default;
};
struct PodView {
  std::string namespace_, name, uid;
  StringMap labels;
  std::vector<IpAddress> ips;
  std::vector<NamedPort> ports;  // that have names; sorted
  bool host_network = false;     // its addresses are the node's: no selector finds it
  bool terminal = false;         // its addresses may be another's by now
  bool operator==(const PodView&) const = default;
};
struct ServiceView {
  struct Port {
    std::string name;
    uint8_t protocol = 6;
    uint16_t port = 0;
    bool operator==(const Port&) const = default;
  };
  std::string namespace_, name;
  std::vector<IpAddress> cluster_ips;
  std::vector<Port> ports;
  bool operator==(const ServiceView&) const = default;
};
struct EndpointSliceView {
  std::string namespace_, name, service;
  std::vector<IpAddress> ready;  // addresses of endpoints that take traffic
  std::vector<ServiceView::Port> ports;
  bool operator==(const EndpointSliceView&) const = default;
};

// IPPROTO_* of "TCP", "UDP", "SCTP"; and back ("tcp", or the number).
[[nodiscard]] uint8_t ip_protocol(Protocol protocol);
[[nodiscard]] std::string protocol_name(uint8_t protocol);
// The ports with names of a pod's containers and sidecars, sorted.
[[nodiscard]] std::vector<NamedPort> named_ports(const PodSpec& spec);

}  // namespace pintle::model
