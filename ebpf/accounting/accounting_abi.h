// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the cgroup programs keep per pod. The agent maps the whole array and reads it without a system call; the programs
// add with atomics. Slot 0 belongs to no pod: it takes what arrives before a new cgroup has been given its number.
#pragma once

#include <linux/types.h>

struct pintle_traffic_slot {
  __u64 rx_bytes, rx_packets;
  __u64 tx_bytes, tx_packets;
  __u64 connects;
  __u64 connects_lost;  // of them, those whose event found no room in the ring: exact
  __u64 reserved[2];
};

// Value of the cgroup storage: which slot the cgroup that a program is attached to counts into.
struct pintle_slot_ref {
  __u32 slot;
  __u32 reserved;
};
