/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Socket options that a pod may not set.
 */
#include "guard/guard_abi.h"
#include "lib/events.h"
#include "lib/pod_slot.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PINTLE_GUARD_ROWS);
  __type(key, struct pintle_sockopt_key);
  __type(value, __u32);
} denied_sockopts SEC(".maps");

SEC("cgroup/setsockopt")
int sockopt_set(struct bpf_sockopt* ctx) {
  /* A value longer than a page does not reach programs; without this the kernel would refuse it (EFAULT). */
  if (ctx->optlen > 4096) ctx->optlen = 0;
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot || !(slot->control.flags & PINTLE_GUARD_SOCKOPTS)) return 1;
  const struct pintle_sockopt_key key = {.slot = number, .level = ctx->level, .name = ctx->optname};
  if (!bpf_map_lookup_elem(&denied_sockopts, &key)) return 1;
  __sync_fetch_and_add(&slot->sockopt_denied, 1);
  struct pintle_event* event = event_reserve(slot, number, PINTLE_EVENT_SOCKOPT, PINTLE_DENIED, PINTLE_RING_URGENT, sizeof(*event));
  if (!event) return 0;
  event_set_process(event);
  event->exit_code = 0;
  event_set_address(event, 0, 0);
  event->sockopt.level = key.level;
  event->sockopt.name = key.name;
  event_submit(event, PINTLE_RING_URGENT);
  return 0;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
