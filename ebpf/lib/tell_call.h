/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * The record of a call that names an address. What the call was is one number: port (host order), protocol << 16, kind << 24.
 */
#pragma once

#include "lib/address.h"
#include "lib/events.h"

#define CALL_WHAT(port, protocol, kind) ((__u16)(port) | (__u32)(__u8)(protocol) << 16 | (__u32)(kind) << 24)
#define CALL_PORT(what) ((__u16)(what))
#define CALL_PROTOCOL(what) ((__u8)((what) >> 16))
#define CALL_KIND(what) ((__u8)((what) >> 24))

static __always_inline void write_call(struct pintle_pod_slot* slot, __u32 number, __u32 what, __u8 verdict, __u64 high, __u64 low) {
  const enum pintle_ring ring = ring_of(verdict);
  struct pintle_event* event = event_reserve(slot, number, CALL_KIND(what), verdict, ring, sizeof(*event));
  if (!event) return;
  event_set_process(event);
  event->socket.port = bpf_htons(CALL_PORT(what));
  event->socket.protocol = CALL_PROTOCOL(what);
  event->socket.direction = PINTLE_EGRESS;
  event_set_address(event, high, low);
  event_submit(event, ring);
}
