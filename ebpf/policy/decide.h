/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * What the rows of a pod's policy say of one other end: the longest prefix that holds its address names a class, and the class
 * lists what is open to it. No row, no class, no policy: refused.
 */
#pragma once

#include <bpf/bpf_endian.h>

#include "lib/address.h"
#include "lib/maps.h"
#include "policy/policy_abi.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PINTLE_POLICY_SETS);
  __type(key, __u32);
  __type(value, struct pintle_policy_state);
} policy_state SEC(".maps") __weak;

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PINTLE_POLICY_ROWS);
  __type(key, struct pintle_address_key);
  __type(value, __u32);
} policy_addresses SEC(".maps") __weak;

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PINTLE_POLICY_ROWS);
  __type(key, struct pintle_prefix_key);
  __type(value, __u32);
} policy_prefixes SEC(".maps") __weak;

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PINTLE_POLICY_ROWS);
  __type(key, struct pintle_port_key);
  __type(value, __u32);
} policy_ports SEC(".maps") __weak;

/* Epoch and flags at once: a replacement stores both. */
static __always_inline __u64 policy_word(__u32 policy) {
  const volatile __u64* state = bpf_map_lookup_elem(&policy_state, &policy);
  return state ? *state : 0;
}

/* An answer: the epoch of the set that gave it, above these. */
#define POLICY_ALLOWED 1
#define POLICY_SETTLED 2 /* the policy was not replaced meanwhile */
#define POLICY_EPOCH(answer) ((__u32)((answer) >> 32))

struct policy_key { /* pintle_prefix_key; from `set` on pintle_address_key */
  __u32 length, set;
  __u64 high, low;
};
_Static_assert(sizeof(struct policy_key) == sizeof(struct pintle_prefix_key), "the same key");

/* The rest of a question: port (the pod's own for ingress, the other end's for egress), protocol << 16, direction << 24. */
__weak __u64 policy_ask(__u64 high, __u64 low, __u32 policy, __u32 rest) {
  const __u64 word = policy_word(policy);
  const __u32 epoch = (__u32)word, direction = rest >> 24;
  if (!epoch) return POLICY_SETTLED;
  const __u32 flags = (__u32)(word >> 32) >> direction, set = PINTLE_SET_OF(epoch, direction);
  const struct policy_key key = {.length = PINTLE_SET_BITS + 128, .set = set, .high = high, .low = low};
  const __u32* found = 0;
  if (flags & PINTLE_HAS_ADDRESSES) found = bpf_map_lookup_elem(&policy_addresses, &key.set);
  if (!found && flags & PINTLE_HAS_PREFIXES) found = bpf_map_lookup_elem(&policy_prefixes, &key);
  __u64 answer = (__u64)epoch << 32;
  if (found) {
    __u32 number = *found;
    asm volatile("" : "+r"(number)); /* from here on both ways are one */
    const struct pintle_port_key port = {
        .length = PINTLE_PORT_BITS + 16, .set = set, .number = number, .protocol = (__u8)(rest >> 16), .port = bpf_htons((__u16)rest)};
    answer |= bpf_map_lookup_elem(&policy_ports, &port) ? POLICY_ALLOWED : 0;
  }
  if (policy_word(policy) == word) answer |= POLICY_SETTLED;
  return answer;
}

/*
 * Old rows are deleted only after policy_state has moved on. So an answer holds when the word has not changed meanwhile; else it may be
 * mixed of rows that were there and rows that no longer were, and is asked for again.
 */
__weak __u64 policy_answer(__u64 high, __u64 low, __u32 policy, __u32 rest) {
  __u64 answer = policy_ask(high, low, policy, rest);
  if (!(answer & POLICY_SETTLED)) answer = policy_ask(high, low, policy, rest);
  if (!(answer & POLICY_SETTLED)) answer = policy_ask(high, low, policy, rest);
  return answer;
}
