/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Accounting as earlier releases had it: a program for each direction, under names of its own.
 */
#include "lib/pod_slot.h"
#include "lib/traffic.h"
#include "policy/packet.h"

static __always_inline int account(struct __sk_buff* skb, __u64 direction) {
  struct pintle_pod_slot* slot = pod_slot(pod_slot_number());
  if (!slot) return 1;
  if (slot->control.flags & PINTLE_ISOLATED && !policy_packet(skb, direction)) {
    __sync_fetch_and_add(&slot->rx_drops + direction, 1);
    return 0;
  }
  if (slot->control.flags & PINTLE_KUBEPODS_COUNTS) return 1;
  __u64* counters = (__u64*)traffic_of(skb, &slot->tcp, &slot->udp, &slot->other) + 2 * direction;
  __sync_fetch_and_add(counters, skb->len);
  __sync_fetch_and_add(counters + 1, 1);
  return 1;
}

SEC("cgroup_skb/ingress")
int accounting_ingress(struct __sk_buff* skb) { return account(skb, PINTLE_INGRESS); }

SEC("cgroup_skb/egress")
int accounting_egress(struct __sk_buff* skb) { return account(skb, PINTLE_EGRESS); }

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
