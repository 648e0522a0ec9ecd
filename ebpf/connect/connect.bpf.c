/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Every connect() of a pod, before it happens: counted, told, and refused where policy does not let the pod go. Also fires for
 * connected UDP and for ping sockets.
 */
#include "policy/call.h"

SEC("cgroup/connect4")
int connect_connect4(struct bpf_sock_addr* ctx) {
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 1;
  __sync_fetch_and_add(&slot->connects, 1);
  struct policy_question question = {.port = bpf_ntohs(ctx->user_port), .protocol = ctx->protocol};
  address_of_v4(&question, ctx->user_ip4);
  return decide_call(ctx, slot, number, PINTLE_EVENT_CONNECT, PINTLE_TRACE_CONNECT, &question);
}

SEC("cgroup/connect6")
int connect_connect6(struct bpf_sock_addr* ctx) {
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 1;
  __sync_fetch_and_add(&slot->connects, 1);
  struct policy_question question = {.remote = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]},
                                     .port = bpf_ntohs(ctx->user_port),
                                     .protocol = ctx->protocol};
  return decide_call(ctx, slot, number, PINTLE_EVENT_CONNECT, PINTLE_TRACE_CONNECT, &question);
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
