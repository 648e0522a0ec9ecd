// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the files of PolicyEngine share among themselves. Internal to policy.
#pragma once

#include "policy/policy_engine.h"

namespace pintle::policy {

// What a change in the cluster may alter.
struct PolicyEngine::Touched {
  std::set<std::string> groups;  // to be compiled anew
  std::set<PodUid> locals;       // to be grouped anew, or to have their own addresses told
  bool all = false;              // every group
  bool local_addresses = false;  // a pod of this node got an address: the node may have got one towards it
};

// One end of a flow that people ask about.
struct PolicyEngine::End {
  std::string text;
  std::vector<model::IpAddress> ips;
  const Local* local = nullptr;  // a pod of this node
};

[[nodiscard]] inline bool uses_named_ports(const std::vector<model::NetworkPolicyRule>& rules) {
  for (const auto& rule : rules)
    for (const auto& port : rule.ports)
      if (std::holds_alternative<std::string>(port.port)) return true;
  return false;
}

}  // namespace pintle::policy
