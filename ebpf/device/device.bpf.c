/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Devices that a pod may not use whatever its runtime allows it: the programs of a cgroup and those above it must all agree.
 */
#include "guard/guard_abi.h"
#include "lib/events.h"
#include "lib/pod_slot.h"

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PINTLE_GUARD_ROWS);
  __type(key, struct pintle_device_key);
  __type(value, __u32);
} denied_devices SEC(".maps");

static __always_inline __u32 denied_access(const struct pintle_device_key* key) {
  const __u32* access = bpf_map_lookup_elem(&denied_devices, key);
  return access ? *access : 0;
}

SEC("cgroup/dev")
int device_access(struct bpf_cgroup_dev_ctx* ctx) {
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot || !(slot->control.flags & PINTLE_GUARD_DEVICES)) return 1;
  const __u32 access = ctx->access_type >> 16;
  struct pintle_device_key key = {.slot = number, .type = ctx->access_type & 0xffff, .major = ctx->major, .minor = ctx->minor};
  __u32 denied = denied_access(&key);
  key.minor = PINTLE_DEVICE_ANY;
  denied |= denied_access(&key);
  key.major = PINTLE_DEVICE_ANY;
  denied |= denied_access(&key);
  key.minor = ctx->minor;
  denied |= denied_access(&key);
  if (!(denied & access)) return 1;
  __sync_fetch_and_add(&slot->device_denied, 1);
  struct pintle_event* event = event_reserve(slot, number, PINTLE_EVENT_DEVICE, PINTLE_DENIED, PINTLE_RING_URGENT, sizeof(*event));
  if (!event) return 0;
  event_set_process(event);
  event->exit_code = 0;
  event->device.type = key.type;
  event->device.access = access;
  event->device.major = ctx->major;
  event->device.minor = ctx->minor;
  event_submit(event, PINTLE_RING_URGENT);
  return 0;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
