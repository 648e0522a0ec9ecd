// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One record of the rings, as the programs write it and the agent reads it: a cache line, no padding, host byte order but for
// addresses and `port`, which stay in network order. IPv4 addresses are ::ffff:a.b.c.d. A sysctl's record is longer.
// A change of layout moves the pins to a new schema folder (bpf/layout.h).
#pragma once

#include <linux/types.h>

enum pintle_event_kind {
  PINTLE_EVENT_CONNECT = 1,
  PINTLE_EVENT_SENDMSG = 2,
  PINTLE_EVENT_BIND = 3,
  PINTLE_EVENT_ACCEPT = 4,
  PINTLE_EVENT_PACKET = 5,
  PINTLE_EVENT_TCP = 6,
  PINTLE_EVENT_DEVICE = 7,
  PINTLE_EVENT_SYSCTL = 8,
  PINTLE_EVENT_SOCKOPT = 9,
  PINTLE_EVENT_EXEC = 10,
  PINTLE_EVENT_EXIT = 11,
  PINTLE_EVENT_OOM = 12,
  PINTLE_EVENT_CGROUP_GONE = 13,  // of slot 0, for the agent alone: a pod's cgroup, by its id, was removed
};
enum pintle_verdict {
  PINTLE_ALLOWED = 0,
  PINTLE_DENIED = 1,
  PINTLE_WOULD_DENY = 2,
};
enum pintle_direction {
  PINTLE_INGRESS = 0,
  PINTLE_EGRESS = 1,
};

struct pintle_event_socket {
  __u16 port;  // the other end's; bind: the own one
  __u8 protocol;
  __u8 direction;  // packet: pintle_direction
};
struct pintle_event_device {
  __u32 type, access, major, minor;  // as struct bpf_cgroup_dev_ctx has them
};
struct pintle_event_sockopt {
  __s32 level, name;
};

struct pintle_event {
  __u64 boot_ns;    // CLOCK_BOOTTIME
  __u64 cgroup_id;  // of the process or socket: at or below the pod's; 0: not known here
  __u32 sequence;   // low half of the slot's, of the ring that the record lies in
  __u32 tgid;       // as the initial pid namespace counts; 0: no process did it (packets)
  __u16 slot;       // the pod's
  __u8 kind;
  __u8 verdict;
  union {
    struct pintle_event_socket socket;
    __s32 exit_code;  // exit: wait status
    __u32 victim;     // OOM: thread group id of the killed
  };
  union {
    char comm[16];
    __u16 local_port;  // packet, accept, TCP: host order
  };
  union {
    __u8 addr[16];         // the other end's; bind: the own one
    char victim_comm[16];  // OOM
    struct pintle_event_device device;
    struct pintle_event_sockopt sockopt;
  };
};

#define PINTLE_SYSCTL_NAME_BYTES 64
struct pintle_sysctl_event {
  struct pintle_event event;
  char name[PINTLE_SYSCTL_NAME_BYTES];  // "net/ipv4/ip_forward"
};

#ifdef __cplusplus
static_assert(sizeof(struct pintle_event) == 64, "one cache line");
#else
_Static_assert(sizeof(struct pintle_event) == 64, "one cache line");
#endif
