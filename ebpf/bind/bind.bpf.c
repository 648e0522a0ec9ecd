/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Every bind() of a pod to an address or port it names: counted, and told when asked for. Always allows.
 */
#include "policy/call.h"

static __always_inline void tell_bind(struct bpf_sock_addr* ctx, struct pintle_pod_slot* slot, __u32 number,
                                      const struct policy_question* question) {
  __sync_fetch_and_add(&slot->binds, 1);
  if (slot->control.flags & PINTLE_TRACE_BIND) tell_call(slot, number, PINTLE_EVENT_BIND, PINTLE_ALLOWED, question);
}

SEC("cgroup/bind4")
int bind_bind4(struct bpf_sock_addr* ctx) {
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 1;
  struct policy_question question = {.port = bpf_ntohs(ctx->user_port), .protocol = ctx->protocol};
  address_of_v4(&question, ctx->user_ip4);
  tell_bind(ctx, slot, number, &question);
  return 1;
}

SEC("cgroup/bind6")
int bind_bind6(struct bpf_sock_addr* ctx) {
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 1;
  const struct policy_question question = {.remote = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]},
                                           .port = bpf_ntohs(ctx->user_port),
                                           .protocol = ctx->protocol};
  tell_bind(ctx, slot, number, &question);
  return 1;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
