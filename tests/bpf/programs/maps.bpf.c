// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A map that may grow beyond what an object may have.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __u64);
  __type(value, __u64[8]);
  __uint(max_entries, 1 << 20);
  __uint(map_flags, BPF_F_NO_PREALLOC);
} everything SEC(".maps");

SEC("cgroup/connect4")
int remember(struct bpf_sock_addr *ctx) {
  __u64 key = ctx->user_ip4;
  return bpf_map_lookup_elem(&everything, &key) == 0;
}

char LICENSE[] SEC("license") = "GPL";
