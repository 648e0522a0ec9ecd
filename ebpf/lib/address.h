/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * An address as two numbers, each of eight bytes of it as they lie in memory: global functions take no pointers. IPv4 is
 * ::ffff:a.b.c.d.
 */
#pragma once

#include <linux/types.h>

#include <bpf/bpf_endian.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define PINTLE_TWO_WORDS(first, second) ((__u64)(second) << 32 | (__u32)(first))
#define PINTLE_FIRST_WORD(pair) ((__u32)(pair))
#define PINTLE_SECOND_WORD(pair) ((__u32)((pair) >> 32))
#else
#define PINTLE_TWO_WORDS(first, second) ((__u64)(first) << 32 | (__u32)(second))
#define PINTLE_FIRST_WORD(pair) ((__u32)((pair) >> 32))
#define PINTLE_SECOND_WORD(pair) ((__u32)(pair))
#endif

static __always_inline __u64 v4_low(__u32 address) { return PINTLE_TWO_WORDS(bpf_htonl(0xffff), address); }

/* 1 for 0. Without a jump: each would be two ways through all that follows, and the verifier walks every one. */
static __always_inline __u64 is_zero(__u32 word) { return ((__u64)word - 1) >> 63; }

static __always_inline __u32 not_v4(__u64 high, __u64 low) {
  return PINTLE_FIRST_WORD(high) | PINTLE_SECOND_WORD(high) | (PINTLE_FIRST_WORD(low) ^ bpf_htonl(0xffff));
}

/* ::1 and 127.0.0.0/8: a pod always reaches itself. */
static __always_inline __u64 is_loopback(__u64 high, __u64 low) {
  const __u32 second = PINTLE_SECOND_WORD(low);
  return is_zero(not_v4(high, low) | ((second & bpf_htonl(0xff000000)) ^ bpf_htonl(0x7f000000))) |
         is_zero(PINTLE_FIRST_WORD(high) | PINTLE_SECOND_WORD(high) | PINTLE_FIRST_WORD(low) | (second ^ bpf_htonl(1)));
}

/* :: and 0.0.0.0 as a destination mean the loopback. */
static __always_inline __u64 is_unspecified(__u64 high, __u64 low) {
  const __u32 second = PINTLE_SECOND_WORD(low);
  return is_zero(not_v4(high, low) | second) |
         is_zero(PINTLE_FIRST_WORD(high) | PINTLE_SECOND_WORD(high) | PINTLE_FIRST_WORD(low) | second);
}
