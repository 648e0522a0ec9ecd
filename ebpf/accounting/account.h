/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * What becomes of a packet of a pod that comes in or goes out (pintle_direction): counted, or dropped.
 */
#pragma once

#include "lib/pod_slot.h"
#include "lib/traffic.h"
#include "policy/packet.h"

/* 1: let it pass. */
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
