/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Counts for every pod below a kubepods that is not ours, from its first packet on, whatever moment its own programs come at. Attached
 * once to kubepods itself, which all pods inherit. The pod is the ancestor of the packet's socket one level down (two below a QoS class).
 * While a pod's slot bears PINTLE_KUBEPODS_COUNTS this counts into it and the pod's own programs do not; a pod without a slot is counted
 * by its cgroup's id until it has one. Always allows. Built against <linux/bpf.h> alone.
 */
#include <linux/bpf.h>

#include <bpf/bpf_helpers.h>

#include "kubepods/kubepods_abi.h"
#include "lib/traffic.h"

struct {
  __uint(type, BPF_MAP_TYPE_ARRAY);
  __uint(map_flags, BPF_F_MMAPABLE);
  __uint(max_entries, PINTLE_MAX_SLOTS);
  __type(key, __u32);
  __type(value, struct pintle_pod_slot);
} pod_slots SEC(".maps"); /* the agent gives it the array that the pods' own programs use */

struct {
  __uint(type, BPF_MAP_TYPE_HASH);
  __uint(map_flags, BPF_F_NO_PREALLOC);
  __uint(max_entries, PINTLE_KUBEPODS_ROWS);
  __type(key, __u64);
  __type(value, struct pintle_kubepods_row);
} kubepods_rows SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_LRU_HASH);
  __uint(max_entries, PINTLE_KUBEPODS_EARLY);
  __type(key, __u64);
  __type(value, struct pintle_kubepods_early);
} kubepods_early SEC(".maps");

struct {
  __uint(type, BPF_MAP_TYPE_CGROUP_STORAGE);
  __type(key, __u64);
  __type(value, struct pintle_kubepods_parent);
} kubepods_parent SEC(".maps");

static __always_inline __u32 parent_level(struct __sk_buff* skb) {
  struct pintle_kubepods_parent* parent = bpf_get_local_storage(&kubepods_parent, 0);
  if (parent->level || !parent->cgroup_id) return parent->level;
  for (int level = 1; level < PINTLE_KUBEPODS_LEVELS; ++level) {
    if (bpf_skb_ancestor_cgroup_id(skb, level) != parent->cgroup_id) continue;
    parent->level = level;
    return level;
  }
  return 0;
}

static __always_inline struct pintle_traffic* early_traffic(struct __sk_buff* skb, __u64 id) {
  struct pintle_kubepods_early* early = bpf_map_lookup_elem(&kubepods_early, &id);
  if (!early) {
    static const struct pintle_kubepods_early kNothing;
    bpf_map_update_elem(&kubepods_early, &id, &kNothing, BPF_NOEXIST); /* another CPU may have been first */
    early = bpf_map_lookup_elem(&kubepods_early, &id);
    if (!early) return 0;
  }
  return traffic_of(skb, &early->tcp, &early->udp, &early->other);
}

/* Where the packet is counted here; NULL: not here. */
static __always_inline struct pintle_traffic* kubepods_traffic(struct __sk_buff* skb) {
  const __u32 level = parent_level(skb);
  if (!level) return 0;
  __u64 id = bpf_skb_ancestor_cgroup_id(skb, level + 1);
  if (!id) return 0; /* a process of kubepods itself */
  const struct pintle_kubepods_row* row = bpf_map_lookup_elem(&kubepods_rows, &id);
  if (row && row->kind == PINTLE_KUBEPODS_CLASS) {
    id = bpf_skb_ancestor_cgroup_id(skb, level + 2);
    if (!id) return 0;
    row = bpf_map_lookup_elem(&kubepods_rows, &id);
  }
  if (!row) return early_traffic(skb, id);
  const __u32 number = row->slot;
  struct pintle_pod_slot* slot = bpf_map_lookup_elem(&pod_slots, &number);
  if (!slot || !(slot->control.flags & PINTLE_KUBEPODS_COUNTS)) return 0;
  return traffic_of(skb, &slot->tcp, &slot->udp, &slot->other);
}

SEC("cgroup_skb/ingress")
int kubepods_ingress(struct __sk_buff* skb) {
  struct pintle_traffic* traffic = kubepods_traffic(skb);
  if (!traffic) return 1;
  __sync_fetch_and_add(&traffic->rx_bytes, skb->len);
  __sync_fetch_and_add(&traffic->rx_packets, 1);
  return 1;
}

SEC("cgroup_skb/egress")
int kubepods_egress(struct __sk_buff* skb) {
  struct pintle_traffic* traffic = kubepods_traffic(skb);
  if (!traffic) return 1;
  __sync_fetch_and_add(&traffic->tx_bytes, skb->len);
  __sync_fetch_and_add(&traffic->tx_packets, 1);
  return 1;
}

char LICENSE[] SEC("license") = "Dual BSD/GPL";
