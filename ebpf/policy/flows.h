/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Who began a flow. Of datagrams it is remembered in an LRU hash, so that replies pass in a direction that is isolated; of TCP it lies
 * with the socket, beside the verdict on it.
 */
#pragma once

#include <stddef.h>

#include "policy/decide.h"

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, PINTLE_POLICY_FLOWS);
  __type(key, struct pintle_flow_key);
  __type(value, struct pintle_flow);
} policy_flows SEC(".maps") __weak;

struct {
  __uint(type, BPF_MAP_TYPE_SK_STORAGE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __type(key, int);
  __type(value, struct pintle_socket_state);
} policy_sockets SEC(".maps") __weak;

static __always_inline __u64 socket_word(__u32 epoch, __u32 slot_flags, __u64 flags) {
  return (__u64)epoch << 32 | (__u64)(slot_flags & PINTLE_NETWORK_FLAGS) << 8 | flags;
}
/* Whether a verdict found earlier still holds: same set of rows, same isolation. */
static __always_inline int is_current(__u64 word, __u32 epoch, __u32 slot_flags) {
  return word & PINTLE_SOCKET_DECIDED && (word & ~0xffULL) == socket_word(epoch, slot_flags, 0);
}

/* The counter of a verdict that is no permission. */
static __always_inline __u64* refusals(struct pintle_pod_slot* slot, __u32 verdict) {
  _Static_assert(offsetof(struct pintle_pod_slot, would_deny) == offsetof(struct pintle_pod_slot, denied) + sizeof(__u64), "side by side");
  return &slot->denied + (verdict >> 1 & 1);
}

static __always_inline __u8 network_verdict(__u32 slot_flags) {
  return PINTLE_DENIED + (slot_flags & PINTLE_AUDIT_NETWORK) / PINTLE_AUDIT_NETWORK; /* or PINTLE_WOULD_DENY */
}
