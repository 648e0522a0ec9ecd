/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Writes of sysctls by a pod's processes: told, and refused when asked for. Reads pass unseen.
 */
#include "lib/events.h"
#include "lib/pod_slot.h"

static __always_inline void tell_sysctl(struct bpf_sysctl* ctx, struct pintle_pod_slot* slot, __u32 number, __u8 verdict) {
  const enum pintle_ring ring = ring_of(verdict);
  struct pintle_sysctl_event* event = event_reserve(slot, number, PINTLE_EVENT_SYSCTL, verdict, ring, sizeof(*event));
  if (!event) return;
  event_set_process(&event->event);
  event->event.exit_code = 0;
  event_set_address(&event->event, 0, 0);
  if (bpf_sysctl_get_name(ctx, event->name, sizeof(event->name), 0) == -22) event->name[0] = 0; /* E2BIG leaves it cut */
  event_submit(event, ring);
}

SEC("cgroup/sysctl")
int sysctl_write(struct bpf_sysctl* ctx) {
  if (!ctx->write) return 1;
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 1;
  const __u32 flags = slot->control.flags;
  if (!(flags & (PINTLE_DENY_SYSCTL | PINTLE_AUDIT_SYSCTL))) return 1;
  const __u8 verdict = PINTLE_WOULD_DENY - (flags & PINTLE_DENY_SYSCTL) / PINTLE_DENY_SYSCTL; /* or PINTLE_DENIED */
  tell_sysctl(ctx, slot, number, verdict);
  if (verdict == PINTLE_DENIED) {
    __sync_fetch_and_add(&slot->sysctl_denied, 1);
    return 0;
  }
  __sync_fetch_and_add(&slot->would_deny, 1);
  return 1;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
