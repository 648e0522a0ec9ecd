/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Every datagram that a pod sends to an address it names in the call (UDP), before it is sent: counted, told when asked for, and
 * refused where policy does not let the pod go.
 */
#include "policy/call.h"

SEC("cgroup/sendmsg4")
int sendmsg_sendmsg4(struct bpf_sock_addr* ctx) {
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 1;
  __sync_fetch_and_add(&slot->sendmsgs, 1);
  struct policy_question question = {.port = bpf_ntohs(ctx->user_port), .protocol = ctx->protocol};
  address_of_v4(&question, ctx->user_ip4);
  return decide_call(ctx, slot, number, PINTLE_EVENT_SENDMSG, PINTLE_TRACE_SENDMSG, &question);
}

SEC("cgroup/sendmsg6")
int sendmsg_sendmsg6(struct bpf_sock_addr* ctx) {
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 1;
  __sync_fetch_and_add(&slot->sendmsgs, 1);
  struct policy_question question = {.remote = {ctx->user_ip6[0], ctx->user_ip6[1], ctx->user_ip6[2], ctx->user_ip6[3]},
                                     .port = bpf_ntohs(ctx->user_port),
                                     .protocol = ctx->protocol};
  return decide_call(ctx, slot, number, PINTLE_EVENT_SENDMSG, PINTLE_TRACE_SENDMSG, &question);
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
