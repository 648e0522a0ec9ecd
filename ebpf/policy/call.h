/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Policy on connect() and on sendmsg() with an address: refused there, a caller knows at once (EPERM), while a dropped SYN would let
 * it wait. What is refused here is asked of packets too (policy/packet.h), for sockets that got past: connected earlier, or
 * raw. The call is told to the agent with its verdict.
 */
#pragma once

#include "lib/pod_slot.h"
#include "lib/tell_call.h"
#include "policy/flows.h"

#define PINTLE_IPPROTO_TCP 6

/* The pod answers a peer that was let in. */
static __always_inline int is_reply(__u64 high, __u64 low, __u32 what, __u32 number, __u16 local_port) {
  struct pintle_flow_key key = {.slot = number, .remote_port = CALL_PORT(what), .local_port = local_port, .protocol = CALL_PROTOCOL(what)};
  __builtin_memcpy(&key.remote[0], &high, 8);
  __builtin_memcpy(&key.remote[2], &low, 8);
  const struct pintle_flow* flow = bpf_map_lookup_elem(&policy_flows, &key);
  return flow && flow->flags & PINTLE_FLOW_FROM_PEER;
}

/* 1: allowed. REQUIRES: the slot is isolated in some direction. */
__weak int call_allowed(struct bpf_sock_addr* ctx, __u64 high, __u64 low, __u32 what) {
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot || is_loopback(high, low) | is_unspecified(high, low)) return 1;
  const __u32 flags = slot->control.flags;
  __u64 answer = POLICY_ALLOWED;
  if (flags & PINTLE_ISOLATE_EGRESS) answer = policy_answer(high, low, slot->control.policy, (what & 0xffffff) | PINTLE_EGRESS << 24);
  const int allowed = answer & POLICY_ALLOWED;
  struct bpf_sock* sk = ctx->sk;
  if (!sk) return allowed;
  if (CALL_PROTOCOL(what) != PINTLE_IPPROTO_TCP) return allowed ? 1 : is_reply(high, low, what, number, sk->src_port);
  if (!allowed && !(flags & PINTLE_AUDIT_NETWORK)) return 0;
  struct pintle_socket_state* state = bpf_sk_storage_get(&policy_sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!state) return allowed;
  __u64 told = PINTLE_SOCKET_KNOWN | PINTLE_SOCKET_OPENED;
  if (flags & PINTLE_ISOLATE_EGRESS) told |= PINTLE_SOCKET_DECIDED | (allowed ? PINTLE_SOCKET_ALLOWED : 0);
  state->word = socket_word(POLICY_EPOCH(answer), flags, told);
  return allowed;
}

__weak int tell_call(__u64 high, __u64 low, __u32 what, __u32 number, __u32 verdict) {
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 0;
  if (verdict != PINTLE_ALLOWED) __sync_fetch_and_add(refusals(slot, verdict), 1);
  write_call(slot, number, what, verdict, high, low);
  return 0;
}

/* 1: go on. */
static __always_inline int decide_call(struct bpf_sock_addr* ctx, struct pintle_pod_slot* slot, __u32 number, __u32 trace_flag, __u64 high,
                                       __u64 low, __u32 what) {
  const __u32 flags = slot->control.flags;
  __u32 verdict = PINTLE_ALLOWED;
  if (flags & PINTLE_ISOLATED && !call_allowed(ctx, high, low, what)) verdict = network_verdict(flags);
  if (verdict != PINTLE_ALLOWED || flags & trace_flag) tell_call(high, low, what, number, verdict);
  return verdict != PINTLE_DENIED;
}
