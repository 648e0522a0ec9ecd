/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Bytes and packets of a pod by protocol, counted where its sockets meet the network: right for hostNetwork pods too, since the
 * socket's cgroup decides and not an interface. bytes are those of the IP packet; a segmentation-offloaded send is one packet.
 * Beside a kubelet the programs on kubepods count (kubepods/kubepods.bpf.c) until all hooks of the pod are in force; one word says which
 * do. The same program drops what policy refuses, which then counts as a drop only; a pod that is not isolated pays one test for it. One
 * program for both directions, since verifying it is the longest part of a start. Built against <linux/bpf.h> alone: no BTF of any kernel
 * is read to load it.
 */
#include "accounting/account.h"

/* PINTLE_EGRESS where no interface has received it: what comes in bears the number of one, also from the loopback. */
static __always_inline __u64 direction_of(const struct __sk_buff* skb) { return is_zero(skb->ingress_ifindex); }

SEC("cgroup/skb")
int accounting_packet(struct __sk_buff* skb) { return account(skb, direction_of(skb)); }

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
