/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Accounting with a constant in a section of its own, which libbpf alone knows how to load.
 */
#include "accounting/account.h"

const volatile __u64 direction_mask = 1;

SEC("cgroup/skb")
int accounting_packet(struct __sk_buff* skb) { return account(skb, is_zero(skb->ingress_ifindex) & (direction_mask & 1)); }

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
