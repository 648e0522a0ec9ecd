/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * exec, exit and OOM kills of the pods' processes, and the end of the pods' cgroups. Raw tracepoints, which need no look into the kernel's
 * BTF to be attached; the kernel itself relocates the few fields declared below against its own BTF, so that neither this build nor the
 * agent reads any. A hint for the agent, never a state: exit is told before the process can be waited for.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "lib/events.h"
#include "lifecycle/lifecycle_abi.h"

#define SIGNAL_GROUP_EXIT 0x4 /* include/linux/sched/signal.h */

struct atomic_t___pintle {
  int counter;
} __attribute__((preserve_access_index));
struct signal_struct {
  struct atomic_t___pintle live;
  int group_exit_code;
  unsigned int flags;
} __attribute__((preserve_access_index));
struct kernfs_node {
  __u64 id;
} __attribute__((preserve_access_index));
struct cgroup {
  int level;
  struct kernfs_node* kn;
  struct cgroup* ancestors[]; /* 6.1: from the root down, itself last */
} __attribute__((preserve_access_index));
struct css_set {
  struct cgroup* dfl_cgrp;
} __attribute__((preserve_access_index));
struct task_struct {
  int exit_code;
  int tgid;
  char comm[16];
  struct css_set* cgroups;
  struct task_struct* group_leader;
  struct signal_struct* signal;
} __attribute__((preserve_access_index));

/* cgroup id of the pod -> its slot. */
struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PINTLE_MAX_SLOTS);
  __type(key, __u64);
  __type(value, __u32);
} lifecycle_pods SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(max_entries, 1);
  __type(key, __u32);
  __type(value, struct pintle_lifecycle_config);
} lifecycle_config SEC(".maps");

#define NO_POD 0xffffffffU /* and none above it */

/* The slot of the pod at one level above the current process; 0: none there. Global, so that it is walked once (lib/events.h). */
__weak __u32 current_slot_at(__u32 mask, __u32 level) {
  if (!(mask >> level & 1)) return 0;
  const __u64 id = bpf_get_current_ancestor_cgroup_id(level);
  if (!id) return NO_POD; /* the process lives above this level */
  const __u32* slot = bpf_map_lookup_elem(&lifecycle_pods, &id);
  return slot ? *slot : 0;
}

/* The slot of the pod whose cgroup is the current one or above it; 0: no pod of ours. */
static __always_inline __u32 current_pod_slot(void) {
  const __u32 zero = 0;
  const struct pintle_lifecycle_config* config = bpf_map_lookup_elem(&lifecycle_config, &zero);
  if (!config) return 0;
  const __u32 mask = config->level_mask;
  for (int level = 1; level <= PINTLE_MAX_LEVEL; ++level) {
    const __u32 slot = current_slot_at(mask, level);
    if (slot) return slot == NO_POD ? 0 : slot;
  }
  return 0;
}

SEC("raw_tp/sched_process_exec")
int BPF_PROG(lifecycle_exec) {
  const __u32 number = current_pod_slot();
  if (!number) return 0;
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 0;
  __sync_fetch_and_add(&slot->execs, 1);
  struct pintle_event* event = event_reserve(slot, number, PINTLE_EVENT_EXEC, PINTLE_ALLOWED, PINTLE_RING_BULK, sizeof(*event));
  if (!event) return 0;
  event_set_process(event);
  event->exit_code = 0;
  event_set_address(event, 0, 0);
  event_submit(event, PINTLE_RING_BULK);
  return 0;
}

SEC("raw_tp/sched_process_exit")
int BPF_PROG(lifecycle_exit, struct task_struct* task) {
  /* Threads come here one by one; the process is gone with the last, who finds nobody alive. */
  if (BPF_CORE_READ(task, signal, live.counter) != 0) return 0;
  const __u32 number = current_pod_slot();
  if (!number) return 0;
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 0;
  __sync_fetch_and_add(&slot->exits, 1);
  struct pintle_event* event = event_reserve(slot, number, PINTLE_EVENT_EXIT, PINTLE_ALLOWED, PINTLE_RING_URGENT, sizeof(*event));
  if (!event) return 0;
  event_set_process(event);
  event_set_address(event, 0, 0);
  /* As wait4(2) decides it. */
  if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
    event->exit_code = BPF_CORE_READ(task, signal, group_exit_code);
  else
    event->exit_code = BPF_CORE_READ(task, group_leader, exit_code);
  event_submit(event, PINTLE_RING_URGENT);
  return 0;
}

/* As above, of any cgroup. An address, as a number: global functions take no pointers. */
__weak __u32 slot_at(__u64 cgroup, __u32 mask, __u32 level) {
  if (!(mask >> level & 1)) return 0;
  struct cgroup* above = 0;
  bpf_core_read(&above, sizeof(above), &((struct cgroup*)cgroup)->ancestors[level]);
  const __u64 id = BPF_CORE_READ(above, kn, id);
  const __u32* slot = bpf_map_lookup_elem(&lifecycle_pods, &id);
  return slot ? *slot : 0;
}

/* The slot of the pod that a task of anybody's is in; `cgroup_id` is set to that of its own cgroup. 0: no pod of ours. */
static __always_inline __u32 task_pod_slot(struct task_struct* task, __u64* cgroup_id) {
  const __u32 zero = 0;
  const struct pintle_lifecycle_config* config = bpf_map_lookup_elem(&lifecycle_config, &zero);
  if (!config) return 0;
  const __u32 mask = config->level_mask;
  struct cgroup* cgroup = BPF_CORE_READ(task, cgroups, dfl_cgrp);
  *cgroup_id = BPF_CORE_READ(cgroup, kn, id);
  const int own_level = BPF_CORE_READ(cgroup, level);
  for (int level = 1; level <= PINTLE_MAX_LEVEL; ++level) {
    if (level > own_level) return 0;
    const __u32 slot = slot_at((__u64)cgroup, mask, level);
    if (slot) return slot;
  }
  return 0;
}

/* The killer's choice, made by whoever asked for memory: the current process, of this pod or of another. */
SEC("raw_tp/mark_victim")
int BPF_PROG(lifecycle_oom, struct task_struct* victim) {
  __u64 cgroup_id = 0;
  const __u32 number = task_pod_slot(victim, &cgroup_id);
  if (!number) return 0;
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 0;
  __sync_fetch_and_add(&slot->ooms, 1);
  struct pintle_event* event = event_reserve(slot, number, PINTLE_EVENT_OOM, PINTLE_ALLOWED, PINTLE_RING_URGENT, sizeof(*event));
  if (!event) return 0;
  event_set_process(event);
  event->cgroup_id = cgroup_id;
  event->victim = BPF_CORE_READ(victim, tgid);
  bpf_core_read(event->victim_comm, sizeof(event->victim_comm), &victim->comm);
  event_submit(event, PINTLE_RING_URGENT);
  return 0;
}

/* A pod's cgroup goes under its links. Taken from slot 0: the pod's own numbers are those of what people are told. */
SEC("raw_tp/cgroup_rmdir")
int BPF_PROG(lifecycle_rmdir, struct cgroup* cgroup) {
  const __u64 id = BPF_CORE_READ(cgroup, kn, id);
  if (!bpf_map_lookup_elem(&lifecycle_pods, &id)) return 0;
  struct pintle_pod_slot* nobody = pod_slot(0);
  if (!nobody) return 0;
  struct pintle_event* event = event_reserve(nobody, 0, PINTLE_EVENT_CGROUP_GONE, PINTLE_ALLOWED, PINTLE_RING_URGENT, sizeof(*event));
  if (!event) return 0;
  event->cgroup_id = id;
  event_submit(event, PINTLE_RING_URGENT);
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
