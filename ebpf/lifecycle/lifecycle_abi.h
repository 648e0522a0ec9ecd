// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What ties a cgroup to its slot for the lifecycle programs.
#pragma once

#include <linux/types.h>

// cgroup levels below the root at which pods may lie; kubepods/burstable/pod… is level 3.
#define PINTLE_MAX_LEVEL 12

// One row, written by the agent.
struct pintle_lifecycle_config {
  __u64 object_id;                                 // of the build that loaded the programs: same id, same code, adopt as is …
  __u32 slots_map_id, urgent_map_id, bulk_map_id;  // … if these are still the maps that are pinned
  __u32 level_mask;                                // bit n: some pod's cgroup lies at level n
};
