/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * The maps that the cgroup object and the lifecycle object share. They are weak so that each feature's source can be compiled by
 * itself; bpftool's linker merges them into one of each, and the agent gives one object the maps of the other.
 */
#pragma once

#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "lib/event_abi.h"
#include "lib/slot_abi.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, PINTLE_MAX_SLOTS);
  __type(key, __u32);
  __type(value, struct pintle_pod_slot);
} pod_slots SEC(".maps") __weak;

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, PINTLE_URGENT_RING_BYTES);
} urgent_events SEC(".maps") __weak;

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, PINTLE_BULK_RING_BYTES);
} bulk_events SEC(".maps") __weak;

static __always_inline struct pintle_pod_slot* pod_slot(__u32 number) { return bpf_map_lookup_elem(&pod_slots, &number); }
