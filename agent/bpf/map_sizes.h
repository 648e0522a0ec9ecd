// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// How large the programs' maps are made. Pinned maps of other sizes are not used again. Plain values.
#pragma once

#include <cstdint>

#include "lib/slot_abi.h"
#include "policy/policy_abi.h"

namespace pintle::bpf {

struct MapSizes {
  uint32_t slots = PINTLE_MAX_SLOTS;  // pods at once, and one more
  uint32_t urgent_ring_bytes = PINTLE_URGENT_RING_BYTES;
  uint32_t bulk_ring_bytes = PINTLE_BULK_RING_BYTES;
  uint32_t policy_sets = PINTLE_POLICY_SETS;
  uint32_t policy_rows = PINTLE_POLICY_ROWS;    // of each of the three tables
  uint32_t policy_flows = PINTLE_POLICY_FLOWS;  // datagram flows remembered on the node
};

}  // namespace pintle::bpf
