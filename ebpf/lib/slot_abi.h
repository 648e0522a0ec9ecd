// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the programs keep per pod, and the words by which the agent tells them what to do. The agent maps the whole array and reads
// it without a system call; the programs add with atomics. Slot 0 belongs to no pod: it takes what arrives before a new cgroup
// has been given its number, and carries the rings' word. A change of layout moves the pins to a new schema folder (bpf/layout.h).
#pragma once

#include <linux/types.h>

// The programs' fixed numbers of entries, those of the rings in bytes. The agent may change them before loading.
#define PINTLE_MAX_SLOTS 1024
#define PINTLE_URGENT_RING_BYTES (64 * 1024)
#define PINTLE_BULK_RING_BYTES (256 * 1024)

enum pintle_ring {
  PINTLE_RING_URGENT = 0,  // exits, OOM kills, refusals
  PINTLE_RING_BULK = 1,    // everything else
};

enum pintle_slot_flags {
  PINTLE_ISOLATE_INGRESS = 1 << 0,
  PINTLE_ISOLATE_EGRESS = 1 << 1,
  PINTLE_AUDIT_NETWORK = 1 << 2,  // what policy refuses is told and counted, but passes
  PINTLE_TRACE_CONNECT = 1 << 3,
  PINTLE_TRACE_SENDMSG = 1 << 4,
  PINTLE_TRACE_BIND = 1 << 5,
  PINTLE_TRACE_ACCEPT = 1 << 6,
  PINTLE_TRACE_TCP = 1 << 7,
  PINTLE_GUARD_DEVICES = 1 << 8,
  PINTLE_GUARD_SOCKOPTS = 1 << 9,
  PINTLE_AUDIT_SYSCTL = 1 << 10,
  PINTLE_DENY_SYSCTL = 1 << 11,
  PINTLE_KUBEPODS_COUNTS = 1 << 12,  // packets are counted by the programs on kubepods, not by the pod's own
};
#define PINTLE_ISOLATED (PINTLE_ISOLATE_INGRESS | PINTLE_ISOLATE_EGRESS)
#define PINTLE_NETWORK_FLAGS (PINTLE_ISOLATED | PINTLE_AUDIT_NETWORK)

#define PINTLE_READER_ABSENT (1ULL << 62)  // nobody is to be woken

struct pintle_traffic {
  __u64 rx_bytes, rx_packets, tx_bytes, tx_packets;  // by pintle_direction two and two
};

// Written by the agent as one 8-byte store, so that no program sees one word without the other.
struct pintle_control {
  __u32 policy;  // key of policy_state; 0: none
  __u32 flags;   // pintle_slot_flags
};

// Four cache lines; the control words share theirs with what is seldom written.
struct pintle_pod_slot {
  struct pintle_traffic tcp, udp;

  struct pintle_traffic other;
  __u64 rx_drops, tx_drops;  // by pintle_direction
  __u64 denied, would_deny;

  __u64 connects, sendmsgs, binds, accepts;
  __u64 sequence[2];  // events so far, by pintle_ring: each takes a number, whether it finds room or not
  __u64 lost[2];      // of them, those that found none

  struct pintle_control control;
  __u64 reader_batching;  // slot 0 only: at how many more bytes of the bulk ring its reader is woken (lib/events.h)
  __u64 tcp_retransmits, tcp_rtt_samples, tcp_rtt_sum_us;
  __u32 execs, exits, ooms;
  __u32 device_denied, sysctl_denied, sockopt_denied;
};

// Value of the cgroup storage: which slot the cgroup that a program is attached to counts into.
struct pintle_slot_ref {
  __u32 slot;
  __u32 reserved;
};

#ifdef __cplusplus
static_assert(sizeof(struct pintle_pod_slot) == 256, "four cache lines");
#else
_Static_assert(sizeof(struct pintle_pod_slot) == 256, "four cache lines");
#endif
