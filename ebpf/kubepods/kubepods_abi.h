// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the programs on kubepods and the agent tell one another. The agent says which cgroups below it are pods (with their slots) and
// which are QoS classes; the programs keep what they meet before that by cgroup id.
#pragma once

#include <linux/types.h>

#include "lib/slot_abi.h"

#define PINTLE_KUBEPODS_ROWS 4096   // pods and classes that are known
#define PINTLE_KUBEPODS_EARLY 1024  // cgroups that are not known yet; the least recently used are forgotten
#define PINTLE_KUBEPODS_LEVELS 16   // how deep kubepods is looked for

enum pintle_kubepods_kind {
  PINTLE_KUBEPODS_POD = 1,
  PINTLE_KUBEPODS_CLASS = 2,  // pods lie below it
};
struct pintle_kubepods_row {
  __u32 slot;
  __u32 kind;
};

struct pintle_kubepods_early {
  struct pintle_traffic tcp, udp, other;
};

// Storage of the kubepods cgroup that the programs are attached to.
struct pintle_kubepods_parent {
  __u64 cgroup_id;  // its own, told by the agent
  __u32 level;      // in the whole hierarchy, found by the program itself: from inside a cgroup namespace it can't be told
  __u32 reserved;
};
