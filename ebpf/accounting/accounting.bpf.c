/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Bytes and packets of a pod by protocol, counted where its sockets meet the network: right for hostNetwork pods too, since the
 * socket's cgroup decides and not an interface. bytes are those of the IP packet; a segmentation-offloaded send is one packet.
 * Beside a kubelet the programs on kubepods count (kubepods/kubepods.bpf.c) until all hooks of the pod are in force; one word says which
 * do. The same programs drop what policy refuses, which then counts as a drop only; a pod that is not isolated pays one test for it. Built
 * against <linux/bpf.h> alone: no BTF of any kernel is read to load it.
 */
#include "lib/pod_slot.h"
#include "lib/traffic.h"
#include "policy/packet.h"

SEC("cgroup_skb/ingress")
int accounting_ingress(struct __sk_buff* skb) {
  struct pintle_pod_slot* slot = pod_slot(pod_slot_number());
  if (!slot) return 1;
  if (slot->control.flags & PINTLE_ISOLATED && !policy_packet(skb, PINTLE_INGRESS)) {
    __sync_fetch_and_add(&slot->rx_drops, 1);
    return 0;
  }
  if (slot->control.flags & PINTLE_KUBEPODS_COUNTS) return 1;
  struct pintle_traffic* traffic = traffic_of(skb, &slot->tcp, &slot->udp, &slot->other);
  __sync_fetch_and_add(&traffic->rx_bytes, skb->len);
  __sync_fetch_and_add(&traffic->rx_packets, 1);
  return 1;
}

SEC("cgroup_skb/egress")
int accounting_egress(struct __sk_buff* skb) {
  struct pintle_pod_slot* slot = pod_slot(pod_slot_number());
  if (!slot) return 1;
  if (slot->control.flags & PINTLE_ISOLATED && !policy_packet(skb, PINTLE_EGRESS)) {
    __sync_fetch_and_add(&slot->tx_drops, 1);
    return 0;
  }
  if (slot->control.flags & PINTLE_KUBEPODS_COUNTS) return 1;
  struct pintle_traffic* traffic = traffic_of(skb, &slot->tcp, &slot->udp, &slot->other);
  __sync_fetch_and_add(&traffic->tx_bytes, skb->len);
  __sync_fetch_and_add(&traffic->tx_packets, 1);
  return 1;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
