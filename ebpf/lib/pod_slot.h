/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Which slot the cgroup that a program is attached to counts into. Keyed by cgroup id alone (5.9), so that all programs of one
 * cgroup see one entry. It is the storage of the cgroup the program is attached to, not of the process's: containers in
 * sub-cgroups need no arithmetic with levels.
 */
#pragma once

#include "lib/maps.h"

struct {
  __uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
  __type(key, __u64);
  __type(value, struct pintle_slot_ref);
} pod_slot_ref SEC(".maps") __weak;

static __always_inline __u32 pod_slot_number(void) {
  const struct pintle_slot_ref* ref = bpf_get_local_storage(&pod_slot_ref, 0);
  return ref->slot;
}
