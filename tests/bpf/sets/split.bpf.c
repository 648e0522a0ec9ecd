/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Accounting as earlier releases had it: a program for each direction, under names of its own.
 */
#include "accounting/account.h"

SEC("cgroup_skb/ingress")
int accounting_ingress(struct __sk_buff* skb) { return account(skb, PINTLE_INGRESS); }

SEC("cgroup_skb/egress")
int accounting_egress(struct __sk_buff* skb) { return account(skb, PINTLE_EGRESS); }

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
