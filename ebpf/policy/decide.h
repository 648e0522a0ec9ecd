/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * What the rows of a pod's policy say of one other end: the longest prefix that holds its address names a class, and the class
 * lists what is open to it. No row, no class, no policy: refused.
 */
#pragma once

#include <bpf/bpf_endian.h>

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
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PINTLE_POLICY_ROWS);
  __type(key, struct pintle_class_key);
  __type(value, struct pintle_class_row);
} policy_classes SEC(".maps") __weak;

struct {
  __uint(type, BPF_MAP_TYPE_LPM_TRIE);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PINTLE_POLICY_ROWS);
  __type(key, struct pintle_port_key);
  __type(value, __u32);
} policy_ports SEC(".maps") __weak;

struct policy_question {
  __u32 remote[4];
  __u32 policy;
  __u16 port; /* host order: the pod's own for ingress, the other end's for egress */
  __u8 protocol;
  __u8 direction;
  __u32 epoch; /* out: of the set that answered; 0: there is none */
};

/*
 * 1 when the range holds the port of that protocol. In arithmetic alone: comparisons are jumps in BPF, and 24 of them are more paths than
 * the verifier should have to walk at every start of the agent.
 */
static __always_inline __u64 range_holds(const struct pintle_port_range* range, __u64 protocol, __u64 port) {
  const __u64 below = port - range->first, above = range->last - port; /* the top bit: outside */
  const __u64 same = (range->protocol ^ protocol) - 1;                 /* the top bit: the same */
  return (~(below | above) & same) >> 63;
}

static __always_inline int class_allows(__u32 set, __u32 number, __u8 protocol, __u16 port) {
  const struct pintle_class_key key = {.set = set, .number = number};
  const struct pintle_class_row* row = bpf_map_lookup_elem(&policy_classes, &key);
  if (!row) return 0;
  const __u32 flags = row->flags;
  __u64 held = flags & PINTLE_CLASS_ANY;
#pragma unroll
  for (int i = 0; i < PINTLE_CLASS_RANGES; ++i) /* unused ranges are of protocol 0, which no packet is asked for with */
    held |= range_holds(&row->ranges[i], protocol, port);
  if (held || !(flags & PINTLE_CLASS_MORE)) return held != 0;
  const struct pintle_port_key exact = {
      .length = PINTLE_PORT_BITS + 16, .set = set, .number = number, .protocol = protocol, .port = bpf_htons(port)};
  return bpf_map_lookup_elem(&policy_ports, &exact) != 0;
}

/*
 * This function and policy_answer() are global ones, which the verifier walks once for a program and not once for each way to each caller;
 * they take numbers only, since pointers would need Linux 5.12. Rest of the question: port, and above it the protocol.
 */
__weak int policy_set_allows(__u64 remote_high, __u64 remote_low, __u64 flags_and_set, __u32 rest) {
  const __u32 set = (__u32)flags_and_set, flags = (__u32)(flags_and_set >> 32);
  struct pintle_prefix_key key = {.length = PINTLE_SET_BITS + 128, .set = set};
  __builtin_memcpy(key.address, &remote_high, 8);
  __builtin_memcpy(key.address + 8, &remote_low, 8);
  const __u32* number = 0;
  if (flags & PINTLE_HAS_ADDRESSES) number = bpf_map_lookup_elem(&policy_addresses, &key.set); /* the rest of it is such a key */
  if (!number && flags & PINTLE_HAS_PREFIXES) number = bpf_map_lookup_elem(&policy_prefixes, &key);
  return number ? class_allows(set, *number, (__u8)(rest >> 16), (__u16)rest) : 0;
}

/* Epoch and flags at once: a replacement stores both. */
static __always_inline __u64 policy_word(__u32 policy) {
  const volatile __u64* state = bpf_map_lookup_elem(&policy_state, &policy);
  return state ? *state : 0;
}

/* The epoch of the set that answered, above the answer. The rest as above, and the direction over it. */
__weak __u64 policy_answer(__u64 remote_high, __u64 remote_low, __u32 policy, __u32 rest) {
  const __u32 direction = rest >> 24;
  __u32 epoch = 0;
  int allowed = 0;
  __u64 word = policy_word(policy);
  /*
   * Old rows are deleted only after policy_state has moved on. So an answer holds when the word has not changed meanwhile; else it may
   * be mixed of rows that were there and rows that no longer were, and is asked for again.
   */
  for (int tries = 0; tries < 3; ++tries) {
    epoch = (__u32)word;
    const __u64 flags = (word >> 32) >> direction;
    allowed = epoch ? policy_set_allows(remote_high, remote_low, flags << 32 | PINTLE_SET_OF(epoch, direction), rest & 0xffffff) : 0;
    const __u64 now = policy_word(policy);
    if (now == word) break;
    word = now;
  }
  return (__u64)epoch << 32 | (allowed ? 1 : 0);
}

static __always_inline int policy_allows(struct policy_question* question) {
  __u64 remote[2];
  __builtin_memcpy(remote, question->remote, sizeof(remote));
  const __u32 rest = question->port | (__u32)question->protocol << 16 | (__u32)question->direction << 24;
  const __u64 answer = policy_answer(remote[0], remote[1], question->policy, rest);
  question->epoch = answer >> 32;
  return answer & 1;
}

/* ::1 and 127.0.0.0/8: a pod always reaches itself. */
static __always_inline int is_loopback(const __u32 address[4]) {
  if (address[0] | address[1]) return 0;
  if (address[2] == 0) return address[3] == bpf_htonl(1);
  return address[2] == bpf_htonl(0xffff) && (address[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
}
/* :: and 0.0.0.0 as a destination mean the loopback. */
static __always_inline int is_unspecified(const __u32 address[4]) {
  return !(address[0] | address[1] | address[3]) && (address[2] == 0 || address[2] == bpf_htonl(0xffff));
}
