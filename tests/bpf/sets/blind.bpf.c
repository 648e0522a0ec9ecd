/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * A set's accounting that lets everything pass and counts nothing: loads, attaches, and is no good.
 */
#include "lib/pod_slot.h"

SEC("cgroup_skb/ingress")
int accounting_ingress(struct __sk_buff* skb) { return pod_slot_number() < PINTLE_MAX_SLOTS; }

SEC("cgroup_skb/egress")
int accounting_egress(struct __sk_buff* skb) { return pod_slot_number() < PINTLE_MAX_SLOTS; }

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
