/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Every bind() of a pod to an address or port it names: counted, and told when asked for. Always allows.
 */
#include "lib/pod_slot.h"
#include "lib/tell_call.h"

static __always_inline int bind_call(struct bpf_sock_addr* ctx, __u64 high, __u64 low) {
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 1;
  __sync_fetch_and_add(&slot->binds, 1);
  if (slot->control.flags & PINTLE_TRACE_BIND)
    write_call(slot, number, CALL_WHAT(bpf_ntohs(ctx->user_port), ctx->protocol, PINTLE_EVENT_BIND), PINTLE_ALLOWED, high, low);
  return 1;
}

SEC("cgroup/bind4")
int bind_bind4(struct bpf_sock_addr* ctx) { return bind_call(ctx, 0, v4_low(ctx->user_ip4)); }

SEC("cgroup/bind6")
int bind_bind6(struct bpf_sock_addr* ctx) {
  return bind_call(ctx, PINTLE_TWO_WORDS(ctx->user_ip6[0], ctx->user_ip6[1]), PINTLE_TWO_WORDS(ctx->user_ip6[2], ctx->user_ip6[3]));
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
