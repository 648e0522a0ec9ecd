// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// From network policies to the rows by which the programs decide. PURE: no ports, no clock, no I/O.
// The rules, as Kubernetes has them:
//  - Policies add up. A direction that no policy of the pod isolates is open; an isolated one lets through what any rule allows.
//  - An absent or empty `from`/`to` is everyone, an empty selector every pod of its namespace(s), absent or empty `ports` every port
//    and every protocol, also those without ports.
//  - Selectors find pods by their addresses: not pods of the node's network, nor ended ones. A block simply matches addresses.
//  - A named port is the selected pod's in ingress and the other pod's in egress: a block has none, so it opens none to a block.
//  - From the pod's own node (its addresses, all of them) and over loopback everything comes in; a pod reaches itself (`own`).
//  - connect() sees a service's address before it is translated: egress to a cluster IP and port is open when it is to at least one
//    ready endpoint behind them, or when a block holds the address.
// Rows: a longer prefix's class holds all that prefixes around it allow, minus what an `except` takes back; classes are unlike each
// other, and a prefix whose class is that of the one around it is left out.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "policy/cluster.h"

namespace pintle::policy {

using Policies = std::vector<const model::NetworkPolicy*>;

// What one pod, or several that are alike, is subject to.
struct Subject {
  std::string namespace_;
  Policies policies;                    // those that select it
  std::vector<model::NamedPort> ports;  // of its own
  std::vector<model::IpAddress> own;    // always open, both ways
};
struct Compiled {
  model::PolicyRows rows;  // of an isolated direction only
  bool isolate_ingress = false, isolate_egress = false;
  bool operator==(const Compiled&) const = default;
};
[[nodiscard]] Compiled compile(const Subject& subject, const Cluster& cluster, std::span<const model::IpAddress> node);

[[nodiscard]] bool selects(const model::NetworkPolicy& policy, const std::string& namespace_, const model::StringMap& labels);
// Whether a selector of `peer` finds pods with these labels in this namespace. False for a block.
[[nodiscard]] bool finds(const model::NetworkPolicy& policy, const model::NetworkPolicyPeer& peer, const std::string& namespace_,
                         const model::StringMap& pod_labels, const model::StringMap& namespace_labels);
// Everything is open to these addresses, whatever the rows said: how `own` gets into rows that several pods shared until then.
void open_to(model::PolicyDirection& direction, std::span<const model::IpAddress> addresses);

}  // namespace pintle::policy
