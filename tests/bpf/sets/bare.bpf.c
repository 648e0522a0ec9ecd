/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * A guard without cgroup storage: newer kernels refuse to put it into a link whose program has some.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

SEC("cgroup/setsockopt")
int sockopt_set(struct bpf_sockopt* ctx) {
  if (ctx->optlen > 4096) ctx->optlen = 0; /* more than a page is none of a program's: let the kernel have it */
  return 1;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
