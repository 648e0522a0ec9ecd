/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * A guard without cgroup storage: newer kernels refuse to put it into a link whose program has some.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "guard/guard_abi.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PINTLE_GUARD_ROWS);
  __type(key, struct pintle_sockopt_key);
  __type(value, __u32);
} denied_sockopts SEC(".maps");

SEC("cgroup/setsockopt")
int sockopt_set(struct bpf_sockopt* ctx) {
  if (ctx->optlen > 4096) ctx->optlen = 0; /* more than a page is none of a program's: let the kernel have it */
  const struct pintle_sockopt_key key = {.level = ctx->level, .name = ctx->optname};
  return !bpf_map_lookup_elem(&denied_sockopts, &key);
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
