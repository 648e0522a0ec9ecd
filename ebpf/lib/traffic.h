/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Which of three counters a packet of a cgroup_skb program belongs to. Behind IPv6 extension headers a packet counts as other.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_endian.h>

#include "lib/slot_abi.h"

#define PINTLE_ETHERTYPE_IPV4 0x0800

static __always_inline struct pintle_traffic* traffic_of(struct __sk_buff* skb, struct pintle_traffic* tcp, struct pintle_traffic* udp,
                                                         struct pintle_traffic* other) {
  const __u8* head = (const __u8*)(long)skb->data;
  const __u8* end = (const __u8*)(long)skb->data_end;
  if (head + 20 > end) return other;
  const __u8 protocol = skb->protocol == bpf_htons(PINTLE_ETHERTYPE_IPV4) ? head[9] : head[6];
  return protocol == 6 /* TCP */ ? tcp : protocol == 17 /* UDP */ ? udp : other;
}
