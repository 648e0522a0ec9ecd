// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam through which people ask what network policy says of this node's pods, and why. Thread rule: any thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/ebpf.h"
#include "model/policy_rows.h"

namespace pintle::ports {

struct PodPolicy {
  PodUid uid;
  std::string namespace_, name;
  std::vector<std::string> ingress_policies, egress_policies;  // names of the NetworkPolicies that select the pod, in its namespace
  bool isolate_ingress = false, isolate_egress = false;
  model::Enforcement enforcement = model::Enforcement::kOff;
  uint32_t rows_id = 0;
  model::PolicyRows rows;
  Time in_force_since;
  std::string problem;  // why the rows in force are not those of the newest policies; empty: they are
};

struct FlowQuestion {
  // Each end is "namespace/pod", or an address.
  std::string from, to;
  uint8_t protocol = 6;  // IPPROTO_*
  uint16_t port = 0;     // of `to`
};
struct FlowSide {
  bool decided_here = false;  // that end is a pod of this node
  bool allowed = true;
  std::string reason;  // "policy 'default/db' rule 2 allows it", "isolated by 'default/deny-all', and no rule matches"
};
struct FlowAnswer {
  bool allowed = true;
  FlowSide egress, ingress;
};

class PolicyView {
 public:
  virtual ~PolicyView() = default;
  [[nodiscard]] virtual std::vector<PodPolicy> list_policies() = 0;
  // kNotFound: an end is neither a known pod nor an address; the text names it.
  [[nodiscard]] virtual Result<FlowAnswer> test_flow(const FlowQuestion& question) = 0;
};

}  // namespace pintle::ports
