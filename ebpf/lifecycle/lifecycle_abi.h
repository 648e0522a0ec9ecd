// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the lifecycle programs keep per pod, and what ties a cgroup to its slot for them.
#pragma once

#include <linux/types.h>

// The programs' fixed numbers of entries, that of the rings in bytes. The agent may raise them before loading.
#define PINTLE_MAX_SLOTS 1024
#define PINTLE_URGENT_RING_BYTES (64 * 1024)
#define PINTLE_BULK_RING_BYTES (256 * 1024)
// cgroup levels below the root at which pods may lie; kubepods/burstable/pod… is level 3.
#define PINTLE_MAX_LEVEL 12

struct pintle_lifecycle_slot {
  __u64 execs, exits;
  __u64 lost;  // events that found no room in the urgent ring: exact
  __u64 reserved;
};

// One row, written by the agent.
struct pintle_lifecycle_config {
  __u64 object_id;   // of the build that loaded the programs: same id, same code, adopt as is
  __u32 level_mask;  // bit n: some pod's cgroup lies at level n
  __u32 reserved;
};
