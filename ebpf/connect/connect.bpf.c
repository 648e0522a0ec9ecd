/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Every connect() of a pod, told with its destination before it happens. Always allows. Also fires for connected UDP.
 */
#include "lib/pod_slot.h"

static __always_inline void tell_connect(struct bpf_sock_addr* ctx, __u8 kind) {
  const __u32 number = pod_slot_number();
  struct pintle_traffic_slot* slot = traffic_slot(number);
  if (!slot) return;
  __sync_fetch_and_add(&slot->connects, 1);
  struct pintle_event* event = bpf_ringbuf_reserve(&bulk_events, sizeof(*event), 0);
  if (!event) {
    __sync_fetch_and_add(&slot->connects_lost, 1);
    return;
  }
  event->boot_ns = bpf_ktime_get_boot_ns();
  event->cgroup_id = bpf_get_current_cgroup_id();
  event->slot = number;
  event->tgid = bpf_get_current_pid_tgid() >> 32;
  event->kind = kind;
  event->protocol = ctx->protocol;
  event->port = ctx->user_port;
  event->exit_code = 0;
  bpf_get_current_comm(event->comm, sizeof(event->comm));
  __u32* addr = (__u32*)event->addr;
  if (kind == PINTLE_EVENT_CONNECT4) {
    addr[0] = ctx->user_ip4;
    addr[1] = addr[2] = addr[3] = 0;
  } else {
    addr[0] = ctx->user_ip6[0];
    addr[1] = ctx->user_ip6[1];
    addr[2] = ctx->user_ip6[2];
    addr[3] = ctx->user_ip6[3];
  }
  /* Adaptive wake-up: the reader is woken only when it had caught up; it batches by itself (bpf/event_pump.h). */
  bpf_ringbuf_submit(event, 0);
}

SEC("cgroup/connect4")
int connect_connect4(struct bpf_sock_addr* ctx) {
  tell_connect(ctx, PINTLE_EVENT_CONNECT4);
  return 1;
}

SEC("cgroup/connect6")
int connect_connect6(struct bpf_sock_addr* ctx) {
  tell_connect(ctx, PINTLE_EVENT_CONNECT6);
  return 1;
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
