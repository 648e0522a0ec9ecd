// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Needs the kernel's BTF: where a field lies is looked up there.
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

struct task_struct {
  int tgid;
} __attribute__((preserve_access_index));

SEC("cgroup/connect4")
int by_task(struct bpf_sock_addr *ctx) { return bpf_core_field_offset(struct task_struct, tgid) > 0; }

char LICENSE[] SEC("license") = "GPL";
