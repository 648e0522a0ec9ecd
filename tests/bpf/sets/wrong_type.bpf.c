/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * connect4's name on a program for connect6: one that the kernel would take into a connect4 link (it compares program types alone).
 */
#include "lib/pod_slot.h"

SEC("cgroup/connect6")
int connect_connect4(struct bpf_sock_addr* ctx) { return pod_slot_number() < PINTLE_MAX_SLOTS; }

SEC("cgroup/connect6")
int connect_connect6(struct bpf_sock_addr* ctx) { return pod_slot_number() < PINTLE_MAX_SLOTS; }

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
