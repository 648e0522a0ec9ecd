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

static __always_inline int class_allows(__u32 set, __u32 number, __u8 protocol, __u16 port) {
  const struct pintle_class_key key = {.set = set, .number = number};
  const struct pintle_class_row* row = bpf_map_lookup_elem(&policy_classes, &key);
  if (!row) return 0;
  if (row->flags & PINTLE_CLASS_ANY) return 1;
  for (int i = 0; i < PINTLE_CLASS_RANGES; ++i) { /* unused ranges are of protocol 0, which no packet is asked for with */
    const struct pintle_port_range* range = &row->ranges[i];
    if (range->protocol == protocol && range->first <= port && port <= range->last) return 1;
  }
  if (!(row->flags & PINTLE_CLASS_MORE)) return 0;
  const struct pintle_port_key exact = {
      .length = PINTLE_PORT_BITS + 16, .set = set, .number = number, .protocol = protocol, .port = bpf_htons(port)};
  return bpf_map_lookup_elem(&policy_ports, &exact) != 0;
}

static __always_inline int set_allows(const struct policy_question* question, __u32 set, __u32 flags) {
  const __u32* number = 0;
  if (flags & PINTLE_HAS_ADDRESSES) {
    struct pintle_address_key key = {.set = set};
    __builtin_memcpy(key.address, question->remote, sizeof(key.address));
    number = bpf_map_lookup_elem(&policy_addresses, &key);
  }
  if (!number && flags & PINTLE_HAS_PREFIXES) {
    struct pintle_prefix_key key = {.length = PINTLE_SET_BITS + 128, .set = set};
    __builtin_memcpy(key.address, question->remote, sizeof(key.address));
    number = bpf_map_lookup_elem(&policy_prefixes, &key);
  }
  return number ? class_allows(set, *number, question->protocol, question->port) : 0;
}

/* Epoch and flags at once: a replacement stores both. */
static __always_inline __u64 policy_word(__u32 policy) {
  const volatile __u64* state = bpf_map_lookup_elem(&policy_state, &policy);
  return state ? *state : 0;
}

static __noinline int policy_allows(struct policy_question* question) {
  int allowed = 0;
  __u64 word = policy_word(question->policy);
  /*
   * Old rows are deleted only after policy_state has moved on. So an answer holds when the word has not changed meanwhile; else it may
   * be mixed of rows that were there and rows that no longer were, and is asked for again.
   */
  for (int tries = 0; tries < 3; ++tries) {
    const __u32 epoch = (__u32)word;
    question->epoch = epoch;
    allowed = epoch ? set_allows(question, PINTLE_SET_OF(epoch, question->direction), (__u32)(word >> 32) >> question->direction) : 0;
    const __u64 now = policy_word(question->policy);
    if (now == word) break;
    word = now;
  }
  return allowed;
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
