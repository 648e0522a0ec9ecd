// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "policy/evaluate.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

namespace pintle::policy {
namespace {

using model::NetworkPolicy;
using model::NetworkPolicyPort;

bool is_loopback(const model::IpAddress& address) {
  static const auto kV4 = model::parse_prefix("127.0.0.0/8"), kV6 = model::parse_prefix("::1");
  return kV4->contains(address) || kV6->contains(address);
}

bool same_family(const model::IpPrefix& cidr, const model::IpAddress& address) {
  return (cidr.address.is_v4() && cidr.length >= 96) == address.is_v4();
}

// Pods that have the address, with their namespaces.
std::vector<std::pair<std::string, const ClusterPod*>> pods_at(const Cluster& cluster, const model::IpAddress& address) {
  std::vector<std::pair<std::string, const ClusterPod*>> out;
  for (const auto& [space, pods] : cluster.pods())
    for (const auto& [name, pod] : pods)
      if (std::ranges::find(pod.ips, address) != pod.ips.end()) out.emplace_back(space, &pod);
  return out;
}

bool port_matches(const NetworkPolicyPort& port, const Flow& flow, std::span<const model::NamedPort> names) {
  if (port.protocol != flow.protocol) return false;
  if (const auto* number = std::get_if<int32_t>(&port.port)) return *number <= flow.port && flow.port <= port.end_port.value_or(*number);
  const auto* name = std::get_if<std::string>(&port.port);
  if (name == nullptr) return true;
  return std::ranges::any_of(
      names, [&](const auto& named) { return named.name == *name && named.protocol == port.protocol && named.port == flow.port; });
}

bool ports_match(const model::NetworkPolicyRule& rule, const Flow& flow, std::span<const model::NamedPort> names) {
  return rule.ports.empty() || std::ranges::any_of(rule.ports, [&](const auto& port) { return port_matches(port, flow, names); });
}

bool rule_matches(const NetworkPolicy& policy, const model::NetworkPolicyRule& rule, const Subject& subject, const Cluster& cluster,
                  const Flow& flow) {
  const auto pods = pods_at(cluster, flow.peer);
  const auto ports_of = [&](const ClusterPod& pod) {
    return flow.ingress ? std::span<const model::NamedPort>(subject.ports) : std::span<const model::NamedPort>(pod.ports);
  };
  const std::span<const model::NamedPort> unnamed =
      flow.ingress ? std::span<const model::NamedPort>(subject.ports) : std::span<const model::NamedPort>();
  if (rule.peers.empty())
    return ports_match(rule, flow, unnamed) ||
           std::ranges::any_of(pods, [&](const auto& pod) { return ports_match(rule, flow, ports_of(*pod.second)); });
  for (const auto& peer : rule.peers) {
    if (peer.block) {
      const bool inside = same_family(peer.block->cidr, flow.peer) && peer.block->cidr.contains(flow.peer) &&
                          std::ranges::none_of(peer.block->except, [&](const auto& inner) { return inner.contains(flow.peer); });
      if (inside && ports_match(rule, flow, unnamed)) return true;
      continue;
    }
    for (const auto& [space, pod] : pods)
      if (finds(policy, peer, space, *pod->labels, cluster.namespace_labels(space)) && ports_match(rule, flow, ports_of(*pod))) return true;
  }
  return false;
}

// The first rule that lets the flow through, in words.
std::optional<std::string> allowing_rule(const Subject& subject, const Cluster& cluster, const Flow& flow) {
  for (const auto* policy : subject.policies) {
    if (!(flow.ingress ? policy->isolates_ingress : policy->isolates_egress)) continue;
    const auto& rules = flow.ingress ? policy->ingress : policy->egress;
    for (size_t i = 0; i < rules.size(); ++i)
      if (rule_matches(*policy, rules[i], subject, cluster, flow))
        return fmt::format("policy '{}' rule {} allows it", policy->full_name(), i + 1);
  }
  return std::nullopt;
}

// By a ready endpoint behind the cluster IP.
std::optional<std::string> allowing_service(const Subject& subject, const Cluster& cluster, const Flow& flow) {
  for (const auto& [space, services] : cluster.services())
    for (const auto& [name, service] : services) {
      if (std::ranges::find(service.cluster_ips, flow.peer) == service.cluster_ips.end()) continue;
      for (const auto& port : service.ports) {
        if (port.port != flow.port || port.protocol != flow.protocol) continue;
        for (const auto& [slice_name, slice] : service.slices)
          for (const auto& target : slice.ports)
            for (const auto& address : slice.ready) {
              if (target.name != port.name || target.protocol != port.protocol || address.is_v4() != flow.peer.is_v4()) continue;
              const Flow behind{.ingress = false, .peer = address, .protocol = target.protocol, .port = target.port};
              const bool own = std::ranges::find(subject.own, address) != subject.own.end();
              const auto rule = own ? std::optional<std::string>("the pod itself") : allowing_rule(subject, cluster, behind);
              if (rule)
                return fmt::format("it is service '{}/{}', and to {}:{} behind it: {}", space, name, to_string(address), target.port,
                                   *rule);
            }
      }
    }
  return std::nullopt;
}

}  // namespace

Opinion evaluate(const Subject& subject, const Cluster& cluster, std::span<const model::IpAddress> node, const Flow& flow) {
  std::string isolating;
  for (const auto* policy : subject.policies)
    if (flow.ingress ? policy->isolates_ingress : policy->isolates_egress)
      isolating += fmt::format("{}'{}'", isolating.empty() ? "" : ", ", policy->full_name());
  const std::string_view way = flow.ingress ? "ingress" : "egress";
  if (isolating.empty()) return {true, fmt::format("no policy isolates its {}", way)};
  if (is_loopback(flow.peer)) return {true, "loopback is always open"};
  if (std::ranges::find(subject.own, flow.peer) != subject.own.end()) return {true, "a pod always reaches itself"};
  if (flow.ingress && std::ranges::find(node, flow.peer) != node.end()) return {true, "its own node always reaches it"};
  if (auto rule = allowing_rule(subject, cluster, flow)) return {true, *std::move(rule)};
  if (!flow.ingress)
    if (auto service = allowing_service(subject, cluster, flow)) return {true, *std::move(service)};
  return {false, fmt::format("its {} is isolated by {}, and no rule matches", way, isolating)};
}

}  // namespace pintle::policy
