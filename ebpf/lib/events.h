/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Records into the rings. Each takes the next number of its pod and ring, and one that finds no room counts as lost, so that
 * what was told and what was lost add up to what happened.
 *
 * The urgent ring wakes its reader whenever that had caught up. The bulk ring has two ways, by slot 0's `reader_batching`: at rest
 * (0) every record wakes the reader, which then sets the word to a quarter of the ring and looks at the ring by time; from there on only
 * the record wakes that fills another quarter. Before it rests again the reader clears the word and looks once more (bpf/event_pump.h). So
 * an idle reader is never woken, and a busy one seldom; a forced wake-up costs the producer some microseconds.
 *
 * What is in a global function (__weak, numbers only: pointers would need Linux 5.12) the verifier walks once for a program, and not once
 * for each way to each call. Loading is nearly all the verifier's time, so what has many callers or many ways through it is one.
 */
#pragma once

#include "lib/maps.h"

/*
 * After the record was reserved. Two producers at once may both miss the mark, as may a longer record: then time tells. In arithmetic, as
 * jumps are more ways for the verifier to walk: FORCE_WAKEUP is one more than NO_WAKEUP.
 */
static __always_inline __u64 bulk_wakeup(void) {
  const struct pintle_pod_slot* nobody = pod_slot(0);
  const __u64 mark = nobody ? *(const volatile __u64*)&nobody->reader_batching : 0;
  const __u64 unread = bpf_ringbuf_query(&bulk_events, BPF_RB_AVAIL_DATA);
  const __u64 filled = unread ^ (unread - (sizeof(struct pintle_event) + BPF_RINGBUF_HDR_SZ)); /* at least the mark: it was passed */
  return BPF_RB_NO_WAKEUP + ((mark - 1 - filled) >> 63);
}

/*
 * NULL: no room, and counted. Kind, verdict, number and time are set; all the rest is the caller's to set, since what was told last lies
 * there. `size` is a constant.
 */
static __always_inline void* event_reserve(struct pintle_pod_slot* slot, __u32 number, __u8 kind, __u8 verdict, enum pintle_ring ring,
                                           __u64 size) {
  const __u64 sequence = __sync_fetch_and_add(&slot->sequence[ring], 1);
  __u64* lost = &slot->lost[ring];
  struct pintle_event* event =
      ring == PINTLE_RING_URGENT ? bpf_ringbuf_reserve(&urgent_events, size, 0) : bpf_ringbuf_reserve(&bulk_events, size, 0);
  if (!event) {
    __sync_fetch_and_add(lost, 1);
    return 0;
  }
  event->boot_ns = bpf_ktime_get_boot_ns();
  event->sequence = sequence;
  event->slot = number;
  event->kind = kind;
  event->verdict = verdict;
  return event;
}

static __always_inline void event_submit(void* event, enum pintle_ring ring) {
  if (__builtin_constant_p(ring) && ring == PINTLE_RING_URGENT)
    bpf_ringbuf_submit(event, 0);
  else
    bpf_ringbuf_submit(event, bulk_wakeup() * ring);
}

/* Who does it, where a process does. */
static __always_inline void event_set_process(struct pintle_event* event) {
  event->cgroup_id = bpf_get_current_cgroup_id();
  event->tgid = bpf_get_current_pid_tgid() >> 32;
  bpf_get_current_comm(event->comm, sizeof(event->comm));
}

/* No process does it: whose cgroup it is, and what the names' place holds instead. */
static __always_inline void event_set_socket(struct pintle_event* event, __u64 cgroup_id, __u16 local_port) {
  event->cgroup_id = cgroup_id;
  event->tgid = 0;
  __builtin_memset(event->comm, 0, sizeof(event->comm));
  event->local_port = local_port;
}

static __always_inline void event_set_address(struct pintle_event* event, __u64 high, __u64 low) {
  __u64* out = (__u64*)event->addr;
  out[0] = high;
  out[1] = low;
}

/* Refusals are urgent, what audit let through is not. Without a jump: each would be two ways through all that follows. */
static __always_inline enum pintle_ring ring_of(__u8 verdict) { return (verdict & PINTLE_DENIED) ^ 1; }
