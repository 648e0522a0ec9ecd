// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Programs that the kernel refuses, each for one reason.
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __type(key, __u32);
  __type(value, __u64);
  __uint(max_entries, 16);
} table SEC(".maps");

// The verifier: a value that may be null.
SEC("cgroup/connect4")
int no_null_check(struct bpf_sock_addr *ctx) {
  __u32 key = ctx->user_ip4;
  __u64 *value = bpf_map_lookup_elem(&table, &key);
  return *value != 0;
}

// Not for those who keep their source to themselves.
SEC("cgroup/connect6")
int no_license(struct bpf_sock_addr *ctx) {
  static const char words[] = "hello";
  bpf_trace_printk(words, sizeof words);
  return 1;
}

char LICENSE[] SEC("license") = "Proprietary";
