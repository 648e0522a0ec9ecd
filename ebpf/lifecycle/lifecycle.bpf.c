/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * exec and exit of the pods' processes. Loaded as a light skeleton: the kernel relocates the few fields declared below against
 * its own BTF, so that neither this build nor the agent reads any. A hint for the agent, never a state: exit is told
 * before the process can be waited for.
 */
#include <linux/bpf.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_tracing.h>

#include "lib/event_abi.h"
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
struct task_struct {
  int exit_code;
  struct task_struct* group_leader;
  struct signal_struct* signal;
} __attribute__((preserve_access_index));

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, PINTLE_MAX_SLOTS);
  __type(key, __u32);
  __type(value, struct pintle_lifecycle_slot);
} lifecycle_slots SEC(".maps");

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

struct {
  __uint(type, BPF_MAP_TYPE_RINGBUF);
  __uint(max_entries, PINTLE_URGENT_RING_BYTES);
} urgent_events SEC(".maps");

/* The slot of the pod whose cgroup is the current one or above it; 0: no pod of ours. */
static __always_inline __u32 current_pod_slot(void) {
  const __u32 zero = 0;
  const struct pintle_lifecycle_config* config = bpf_map_lookup_elem(&lifecycle_config, &zero);
  if (!config) return 0;
  const __u32 mask = config->level_mask;
#pragma unroll
  for (int level = 1; level <= PINTLE_MAX_LEVEL; ++level) {
    if (!(mask & (1u << level))) continue;
    const __u64 id = bpf_get_current_ancestor_cgroup_id(level);
    if (!id) /* the process lives above this level */
      return 0;
    const __u32* slot = bpf_map_lookup_elem(&lifecycle_pods, &id);
    if (slot) return *slot;
  }
  return 0;
}

static __always_inline struct pintle_event* reserve(struct pintle_lifecycle_slot* slot, __u32 number, __u8 kind) {
  struct pintle_event* event = bpf_ringbuf_reserve(&urgent_events, sizeof(*event), 0);
  if (!event) {
    __sync_fetch_and_add(&slot->lost, 1);
    return 0;
  }
  event->boot_ns = bpf_ktime_get_boot_ns();
  event->cgroup_id = bpf_get_current_cgroup_id();
  event->slot = number;
  event->tgid = bpf_get_current_pid_tgid() >> 32;
  event->kind = kind;
  event->protocol = 0;
  event->port = 0;
  event->exit_code = 0;
  bpf_get_current_comm(event->comm, sizeof(event->comm));
  __builtin_memset(event->addr, 0, sizeof(event->addr));
  return event;
}

SEC("tp_btf/sched_process_exec")
int BPF_PROG(lifecycle_exec) {
  const __u32 number = current_pod_slot();
  if (!number) return 0;
  struct pintle_lifecycle_slot* slot = bpf_map_lookup_elem(&lifecycle_slots, &number);
  if (!slot) return 0;
  __sync_fetch_and_add(&slot->execs, 1);
  struct pintle_event* event = reserve(slot, number, PINTLE_EVENT_EXEC);
  if (event) bpf_ringbuf_submit(event, 0);
  return 0;
}

SEC("tp_btf/sched_process_exit")
int BPF_PROG(lifecycle_exit, struct task_struct* task) {
  /* Threads come here one by one; the process is gone with the last, who finds nobody alive. */
  if (BPF_CORE_READ(task, signal, live.counter) != 0) return 0;
  const __u32 number = current_pod_slot();
  if (!number) return 0;
  struct pintle_lifecycle_slot* slot = bpf_map_lookup_elem(&lifecycle_slots, &number);
  if (!slot) return 0;
  __sync_fetch_and_add(&slot->exits, 1);
  struct pintle_event* event = reserve(slot, number, PINTLE_EVENT_EXIT);
  if (!event) return 0;
  /* As wait4(2) decides it. */
  if (BPF_CORE_READ(task, signal, flags) & SIGNAL_GROUP_EXIT)
    event->exit_code = BPF_CORE_READ(task, signal, group_exit_code);
  else
    event->exit_code = BPF_CORE_READ(task, group_leader, exit_code);
  bpf_ringbuf_submit(event, 0);
  return 0;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
