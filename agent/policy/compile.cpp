// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "policy/compile.h"

#include <algorithm>
#include <unordered_map>

#include "policy/grants.h"

namespace pintle::policy {
namespace {

using model::IpAddress;
using model::IpPrefix;
using model::NamedPort;
using model::NetworkPolicy;
using model::NetworkPolicyPeer;
using model::NetworkPolicyRule;
using model::PortRange;

const Ports kEverything{PortRange{}};
const IpPrefix kAnywhere{{}, 0};
const IpPrefix kV4{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0}}, 96};
const IpPrefix kLoopback4{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 0}}, 104};
const IpPrefix kLoopback6{{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}}, 128};

bool has_named_port(const NetworkPolicyRule& rule) {
  return std::ranges::any_of(rule.ports, [](const auto& port) { return std::holds_alternative<std::string>(port.port); });
}

// A rule's ports; names are looked up in `names`.
Ports ports_of(const NetworkPolicyRule& rule, std::span<const NamedPort> names) {
  if (rule.ports.empty()) return kEverything;
  Ports out;
  for (const auto& port : rule.ports) {
    if (const auto* number = std::get_if<int32_t>(&port.port)) {
      out.push_back({port.protocol, static_cast<uint16_t>(*number), static_cast<uint16_t>(port.end_port.value_or(*number))});
    } else if (const auto* name = std::get_if<std::string>(&port.port)) {
      for (const auto& named : names)
        if (named.name == *name && named.protocol == port.protocol) out.push_back({port.protocol, named.port, named.port});
    } else {
      out.push_back({port.protocol, 0, 65535});
    }
  }
  return normalized(std::move(out));
}

enum class Way { kIngress, kEgress };

class Direction {
 public:
  Direction(const Subject& subject, const Cluster& cluster, Way way) : subject_(subject), cluster_(cluster), way_(way) {}

  void add(const NetworkPolicy& policy, const NetworkPolicyRule& rule) {
    // In egress the names are the other end's: a pod's are its own, addresses have none.
    const bool per_pod = way_ == Way::kEgress && has_named_port(rule);
    const std::span<const NamedPort> names =
        way_ == Way::kIngress ? std::span<const NamedPort>(subject_.ports) : std::span<const NamedPort>();
    const Ports ports = ports_of(rule, names);
    if (rule.peers.empty()) {
      grants.allow(kAnywhere, {}, ports);
      if (per_pod) add_pods(policy, rule, nullptr, ports);
    }
    for (const auto& peer : rule.peers) {
      if (peer.block)
        add_block(*peer.block, ports);
      else
        add_pods(policy, rule, &peer, ports);
    }
  }

  Grants grants;

 private:
  // Pods that `peer` finds; null: all of them.
  void add_pods(const NetworkPolicy& policy, const NetworkPolicyRule& rule, const NetworkPolicyPeer* peer, const Ports& ports) {
    const bool per_pod = way_ == Way::kEgress && has_named_port(rule);
    for (const auto& [space, pods] : cluster_.pods()) {
      if (peer != nullptr && !peer->namespaces && space != policy.namespace_) continue;
      if (peer != nullptr && peer->namespaces && !peer->namespaces->matches(cluster_.namespace_labels(space))) continue;
      std::unordered_map<const model::StringMap*, bool> known;  // labels are shared: asked once
      for (const auto& [name, pod] : pods) {
        if (peer != nullptr && peer->pods) {
          const auto [at, is_new] = known.try_emplace(pod.labels.get(), false);
          if (is_new) at->second = peer->pods->matches(*pod.labels);
          if (!at->second) continue;
        }
        const Ports own = per_pod ? ports_of(rule, pod.ports) : Ports();
        for (const auto& ip : pod.ips) grants.allow(ip, per_pod ? own : ports);
      }
    }
  }
  // IPv4 lies within the short IPv6 prefixes here, and is not meant by them.
  void add_block(const model::IpBlock& block, const Ports& ports) {
    if (block.cidr.length >= kV4.length || !block.cidr.contains(kV4)) return grants.allow(block.cidr, block.except, ports);
    auto except = block.except;
    except.push_back(kV4);
    grants.allow(block.cidr, except, ports);
  }

  const Subject& subject_;
  const Cluster& cluster_;
  const Way way_;
};

// Cluster IPs behind which something may be reached.
bool add_services(const Cluster& cluster, const model::PolicyDirection& rows, Grants& grants) {
  const RowIndex index(rows);
  bool any = false;
  for (const auto& [space, services] : cluster.services())
    for (const auto& [name, service] : services)
      for (const auto& ip : service.cluster_ips) {
        Ports open;
        for (const auto& port : service.ports) {
          const auto reaches = [&](const model::EndpointSliceView& slice) {
            return std::ranges::any_of(slice.ports, [&](const auto& target) {
              return target.name == port.name && target.protocol == port.protocol &&
                     std::ranges::any_of(slice.ready, [&](const IpAddress& address) {
                       return address.is_v4() == ip.is_v4() && index.allows(address, target.protocol, target.port);
                     });
            });
          };
          if (std::ranges::any_of(service.slices, [&](const auto& entry) { return reaches(entry.second); }))
            open.push_back({port.protocol, port.port, port.port});
        }
        any = any || !open.empty();
        grants.allow(ip, normalized(std::move(open)));
      }
  return any;
}

void add_always_open(const Subject& subject, Grants& grants) {
  grants.allow(kLoopback4, {}, kEverything);
  grants.allow(kLoopback6, {}, kEverything);
  for (const auto& ip : subject.own) grants.allow(ip, kEverything);
}

}  // namespace

bool selects(const NetworkPolicy& policy, const std::string& namespace_, const model::StringMap& labels) {
  return policy.namespace_ == namespace_ && policy.pods.matches(labels);
}

bool finds(const NetworkPolicy& policy, const NetworkPolicyPeer& peer, const std::string& namespace_, const model::StringMap& pod_labels,
           const model::StringMap& namespace_labels) {
  if (peer.block) return false;
  if (!peer.namespaces && namespace_ != policy.namespace_) return false;
  if (peer.namespaces && !peer.namespaces->matches(namespace_labels)) return false;
  return !peer.pods || peer.pods->matches(pod_labels);
}

Compiled compile(const Subject& subject, const Cluster& cluster, std::span<const IpAddress> node) {
  Compiled out;
  Direction ingress(subject, cluster, Way::kIngress), egress(subject, cluster, Way::kEgress);
  for (const auto* policy : subject.policies) {
    out.isolate_ingress = out.isolate_ingress || policy->isolates_ingress;
    out.isolate_egress = out.isolate_egress || policy->isolates_egress;
    if (policy->isolates_ingress)
      for (const auto& rule : policy->ingress) ingress.add(*policy, rule);
    if (policy->isolates_egress)
      for (const auto& rule : policy->egress) egress.add(*policy, rule);
  }
  if (out.isolate_ingress) {
    add_always_open(subject, ingress.grants);
    for (const auto& ip : node) ingress.grants.allow(ip, kEverything);
    out.rows.ingress = ingress.grants.rows();
  }
  if (out.isolate_egress) {
    add_always_open(subject, egress.grants);
    out.rows.egress = egress.grants.rows();
    if (add_services(cluster, out.rows.egress, egress.grants)) out.rows.egress = egress.grants.rows();
  }
  return out;
}

void open_to(model::PolicyDirection& direction, std::span<const IpAddress> addresses) {
  for (const auto& address : addresses) {
    const IpPrefix prefix{address, 128};
    auto at = std::ranges::find(direction.classes, kEverything);
    if (at == direction.classes.end()) at = direction.classes.insert(at, kEverything);
    const auto open = static_cast<uint32_t>(at - direction.classes.begin());
    const auto row = std::ranges::lower_bound(direction.peers, prefix, {}, &model::PolicyDirection::Peer::prefix);
    if (row != direction.peers.end() && row->prefix == prefix)
      row->class_index = open;
    else
      direction.peers.insert(row, {prefix, open});
  }
}

}  // namespace pintle::policy
