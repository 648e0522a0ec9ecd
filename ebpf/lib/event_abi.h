// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One record of the rings, as the programs write it and the agent reads it: a cache line, no padding, host byte order
// but for addr and port, which stay in network order. A change of layout moves the pins to a new schema folder (bpf/layout.h).
#pragma once

#include <linux/types.h>

enum pintle_event_kind {
  PINTLE_EVENT_CONNECT4 = 1,
  PINTLE_EVENT_CONNECT6 = 2,
  PINTLE_EVENT_EXEC = 3,
  PINTLE_EVENT_EXIT = 4,
};

struct pintle_event {
  __u64 boot_ns;    // CLOCK_BOOTTIME
  __u64 cgroup_id;  // of the process: the container's cgroup, at or below the pod's
  __u32 slot;       // the pod's
  __u32 tgid;       // as the initial pid namespace counts
  __u8 kind;
  __u8 protocol;    // connect: IPPROTO_*
  __u16 port;       // connect: network order
  __s32 exit_code;  // exit: wait status
  char comm[16];
  __u8 addr[16];  // connect: network order; the first four bytes for IPv4
};

#ifdef __cplusplus
static_assert(sizeof(struct pintle_event) == 64, "one cache line");
#else
_Static_assert(sizeof(struct pintle_event) == 64, "one cache line");
#endif
