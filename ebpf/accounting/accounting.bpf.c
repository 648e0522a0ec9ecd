/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Bytes and packets of a pod, counted where its sockets meet the network: right for hostNetwork pods too, since the socket's
 * cgroup decides and not an interface. bytes are those of the IP packet; a segmentation-offloaded send is one packet.
 * Built against <linux/bpf.h> alone: no BTF of any kernel is read to load it.
 */
#include "lib/pod_slot.h"

SEC("cgroup_skb/ingress")
int accounting_ingress(struct __sk_buff* skb) {
  struct pintle_traffic_slot* slot = traffic_slot(pod_slot_number());
  if (slot) {
    __sync_fetch_and_add(&slot->rx_bytes, skb->len);
    __sync_fetch_and_add(&slot->rx_packets, 1);
  }
  return 1;
}

SEC("cgroup_skb/egress")
int accounting_egress(struct __sk_buff* skb) {
  struct pintle_traffic_slot* slot = traffic_slot(pod_slot_number());
  if (slot) {
    __sync_fetch_and_add(&slot->tx_bytes, skb->len);
    __sync_fetch_and_add(&slot->tx_packets, 1);
  }
  return 1;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
