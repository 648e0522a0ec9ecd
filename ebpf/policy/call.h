/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Policy on connect() and on sendmsg() with an address: refused there, a caller knows at once (EPERM), while a dropped SYN would let
 * it wait. What is refused here is asked of packets too (policy/packet.h), for sockets that got past: connected earlier, or
 * raw. The call is told to the agent with its verdict.
 */
#pragma once

#include "lib/events.h"
#include "lib/pod_slot.h"
#include "policy/flows.h"

#define PINTLE_IPPROTO_TCP 6

static __always_inline void address_of_v4(struct policy_question* question, __u32 address) {
  question->remote[0] = question->remote[1] = 0;
  question->remote[2] = bpf_htonl(0xffff);
  question->remote[3] = address;
}

/* The pod answers a peer that was let in. */
static __always_inline int is_reply(const struct policy_question* question, __u32 number, __u16 local_port) {
  struct pintle_flow_key key = {.slot = number, .remote_port = question->port, .local_port = local_port, .protocol = question->protocol};
  __builtin_memcpy(key.remote, question->remote, sizeof(key.remote));
  const struct pintle_flow* flow = bpf_map_lookup_elem(&policy_flows, &key);
  return flow && flow->flags & PINTLE_FLOW_FROM_PEER;
}

/* `question` names address, port and protocol of the other end. */
static __always_inline __u8 call_verdict(struct bpf_sock_addr* ctx, struct pintle_pod_slot* slot, __u32 number,
                                         struct policy_question* question) {
  const __u32 flags = slot->control.flags;
  if (!(flags & PINTLE_ISOLATED)) return PINTLE_ALLOWED;
  if (is_loopback(question->remote) || is_unspecified(question->remote)) return PINTLE_ALLOWED;
  int allowed = 1;
  if (flags & PINTLE_ISOLATE_EGRESS) {
    question->policy = slot->control.policy;
    question->direction = PINTLE_EGRESS;
    allowed = policy_allows(question);
    if (!allowed && question->protocol != PINTLE_IPPROTO_TCP && ctx->sk) allowed = is_reply(question, number, ctx->sk->src_port);
  }
  if (question->protocol == PINTLE_IPPROTO_TCP && ctx->sk && (allowed || flags & PINTLE_AUDIT_NETWORK)) {
    struct pintle_socket_state* state = bpf_sk_storage_get(&policy_sockets, ctx->sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
    if (state) {
      __u64 told = PINTLE_SOCKET_KNOWN | PINTLE_SOCKET_OPENED;
      if (flags & PINTLE_ISOLATE_EGRESS) told |= PINTLE_SOCKET_DECIDED | (allowed ? PINTLE_SOCKET_ALLOWED : 0);
      state->word = socket_word(question->epoch, flags, told);
    }
  }
  return allowed ? PINTLE_ALLOWED : network_verdict(flags);
}

static __always_inline void tell_call(struct pintle_pod_slot* slot, __u32 number, __u8 kind, __u8 verdict,
                                      const struct policy_question* question) {
  const enum pintle_ring ring = ring_of(verdict);
  struct pintle_event* event = event_reserve(slot, number, kind, verdict, ring, sizeof(*event));
  if (!event) return;
  event_set_process(event);
  event->socket.port = bpf_htons(question->port);
  event->socket.protocol = question->protocol;
  event->socket.direction = PINTLE_EGRESS;
  event_set_address(event, question->remote);
  event_submit(event, ring);
}

/* 1: go on. */
static __always_inline int decide_call(struct bpf_sock_addr* ctx, struct pintle_pod_slot* slot, __u32 number, __u8 kind, __u32 trace_flag,
                                       struct policy_question* question) {
  const __u8 verdict = call_verdict(ctx, slot, number, question);
  if (verdict == PINTLE_DENIED) __sync_fetch_and_add(&slot->denied, 1);
  if (verdict == PINTLE_WOULD_DENY) __sync_fetch_and_add(&slot->would_deny, 1);
  if (verdict != PINTLE_ALLOWED || slot->control.flags & trace_flag) tell_call(slot, number, kind, verdict, question);
  return verdict != PINTLE_DENIED;
}
