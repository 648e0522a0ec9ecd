// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// No connection to port 23. Without vmlinux.h, and so without CO-RE: it needs nothing of the kernel but the hook.
//   clang -target bpf -O2 -g -I/usr/include/$(uname -m)-linux-gnu -c deny-telnet.bpf.c -o deny-telnet.bpf.o
#include <linux/bpf.h>

#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

// Pinned by its name: it keeps its content over versions of this program, and `bpftool map dump pinned` shows it.
struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __type(key, __u32);
  __type(value, __u64);
  __uint(max_entries, 1);
  __uint(pinning, LIBBPF_PIN_BY_NAME);
} refused SEC(".maps");

SEC("cgroup/connect4")
int deny_telnet(struct bpf_sock_addr *ctx) {
  __u32 zero = 0;
  __u64 *count;

  if (ctx->user_port != bpf_htons(23)) return 1;
  count = bpf_map_lookup_elem(&refused, &zero);
  if (count) __sync_fetch_and_add(count, 1);
  return 0;  // connect() fails with EPERM
}

char LICENSE[] SEC("license") = "GPL";
