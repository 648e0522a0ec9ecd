/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Every connect() of a pod, before it happens: counted, told, and refused where policy does not let the pod go. Also fires for
 * connected UDP and for ping sockets.
 */
#include "policy/call.h"

static __always_inline int connect_call(struct bpf_sock_addr* ctx, __u64 high, __u64 low) {
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 1;
  __sync_fetch_and_add(&slot->connects, 1);
  const __u32 what = CALL_WHAT(bpf_ntohs(ctx->user_port), ctx->protocol, PINTLE_EVENT_CONNECT);
  return decide_call(ctx, slot, number, PINTLE_TRACE_CONNECT, high, low, what);
}

SEC("cgroup/connect4")
int connect_connect4(struct bpf_sock_addr* ctx) { return connect_call(ctx, 0, v4_low(ctx->user_ip4)); }

SEC("cgroup/connect6")
int connect_connect6(struct bpf_sock_addr* ctx) {
  return connect_call(ctx, PINTLE_TWO_WORDS(ctx->user_ip6[0], ctx->user_ip6[1]), PINTLE_TWO_WORDS(ctx->user_ip6[2], ctx->user_ip6[3]));
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
