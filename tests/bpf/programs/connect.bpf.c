// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Refuses connect() to one port (DENIED_PORT) and counts calls in a map that is pinned by its name. Built in two versions.
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, __u64);
  __uint(max_entries, 1);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} calls SEC(".maps");

static __noinline int is_denied(struct bpf_sock_addr *ctx) { return bpf_ntohs((__u16)ctx->user_port) == DENIED_PORT; }

SEC("cgroup/connect4")
int deny_port(struct bpf_sock_addr *ctx) {
  __u32 zero = 0;
  __u64 *count = bpf_map_lookup_elem(&calls, &zero);
  if (count) __sync_fetch_and_add(count, 1);
  return !is_denied(ctx);
}

SEC("cgroup_skb/egress")
int count_packets(struct __sk_buff *skb) {
  __u32 zero = 0;
  __u64 *count = bpf_map_lookup_elem(&calls, &zero);
  if (count) __sync_fetch_and_add(count, 1);
  return 1;
}

SEC("cgroup/sock_create")
int no_sockets(struct bpf_sock *ctx) { return 0; }

char LICENSE[] SEC("license") = "GPL";
