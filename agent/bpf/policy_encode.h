// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// model::PolicyRows as rows of the programs' maps (ebpf/policy/policy_abi.h). Pure.
#pragma once

#include <vector>

#include "base/result.h"
#include "model/policy_rows.h"
#include "policy/policy_abi.h"

namespace pintle::bpf {

struct PolicyMapRows {
  uint32_t flags = 0;  // of policy_state
  std::vector<pintle_address_key> addresses;
  std::vector<uint32_t> address_classes;
  std::vector<pintle_prefix_key> prefixes;
  std::vector<uint32_t> prefix_classes;
  std::vector<pintle_port_key> ports;
  std::vector<uint32_t> port_values;
};

// kInvalid: a peer's class does not exist.
[[nodiscard]] Result<PolicyMapRows> encode(const model::PolicyRows& rows, uint32_t epoch);

}  // namespace pintle::bpf
