/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * The maps that the programs of the cgroup object share. They are weak so that each feature's source can be compiled by
 * itself; bpftool's linker merges them into one of each.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "accounting/accounting_abi.h"
#include "lib/event_abi.h"
#include "lifecycle/lifecycle_abi.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, PINTLE_MAX_SLOTS);
  __type(key, __u32);
  __type(value, struct pintle_traffic_slot);
} traffic_slots SEC(".maps") __weak;

/*
 * Keyed by cgroup id alone (5.9), so that all programs of one cgroup see one entry. It is the storage of the cgroup the
 * program is attached to, not of the process's: containers in sub-cgroups need no arithmetic with levels.
 */
struct {
  __uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
  __type(key, __u64);
  __type(value, struct pintle_slot_ref);
} pod_slot_ref SEC(".maps") __weak;

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, PINTLE_BULK_RING_BYTES);
} bulk_events SEC(".maps") __weak;

static __always_inline __u32 pod_slot_number(void) {
  const struct pintle_slot_ref* ref = bpf_get_local_storage(&pod_slot_ref, 0);
  return ref->slot;
}

static __always_inline struct pintle_traffic_slot* traffic_slot(__u32 number) { return bpf_map_lookup_elem(&traffic_slots, &number); }
