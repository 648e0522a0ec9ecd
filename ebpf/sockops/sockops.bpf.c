/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * What becomes of a pod's TCP connections: accepted ones are counted and told when asked for; of traced pods retransmits and round
 * trip times too. Called in softirqs: there is no process to name.
 */
#include <bpf/bpf_endian.h>

#include "lib/address.h"
#include "lib/events.h"
#include "lib/pod_slot.h"

#define PINTLE_AF_INET6 10
#define PINTLE_IPPROTO_TCP 6

static __always_inline void tell_socket(struct bpf_sock_ops* ops, struct pintle_pod_slot* slot, __u32 number, __u8 kind) {
  struct pintle_event* event = event_reserve(slot, number, kind, PINTLE_ALLOWED, PINTLE_RING_BULK, sizeof(*event));
  if (!event) return;
  event_set_socket(event, 0, (__u16)ops->local_port);
  const __u32 port = ops->remote_port; /* network order, in the upper half */
  event->socket.port = (__u16)(port >> 16 ? port >> 16 : port);
  event->socket.protocol = PINTLE_IPPROTO_TCP;
  event->socket.direction = 0;
  const volatile __u32* v6 = ops->remote_ip6; /* or the compiler loads two at once, which the verifier refuses */
  if (ops->family == PINTLE_AF_INET6)
    event_set_address(event, PINTLE_TWO_WORDS(v6[0], v6[1]), PINTLE_TWO_WORDS(v6[2], v6[3]));
  else
    event_set_address(event, 0, v4_low(ops->remote_ip4));
  event_submit(event, PINTLE_RING_BULK);
}

SEC("sockops")
int sockops_events(struct bpf_sock_ops* ops) {
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 1;
  const __u32 flags = slot->control.flags;
  switch (ops->op) {
    case BPF_SOCK_OPS_PASSIVE_ESTABLISHED_CB:
    case BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB:
      if (flags & PINTLE_TRACE_TCP)
        bpf_sock_ops_cb_flags_set(ops, ops->bpf_sock_ops_cb_flags | BPF_SOCK_OPS_RETRANS_CB_FLAG | BPF_SOCK_OPS_RTT_CB_FLAG);
      if (ops->op == BPF_SOCK_OPS_ACTIVE_ESTABLISHED_CB) return 1;
      __sync_fetch_and_add(&slot->accepts, 1);
      if (flags & PINTLE_TRACE_ACCEPT) tell_socket(ops, slot, number, PINTLE_EVENT_ACCEPT);
      return 1;
    case BPF_SOCK_OPS_RETRANS_CB:
      __sync_fetch_and_add(&slot->tcp_retransmits, 1);
      if (flags & PINTLE_TRACE_TCP) tell_socket(ops, slot, number, PINTLE_EVENT_TCP);
      return 1;
    case BPF_SOCK_OPS_RTT_CB:
      __sync_fetch_and_add(&slot->tcp_rtt_samples, 1);
      __sync_fetch_and_add(&slot->tcp_rtt_sum_us, ops->srtt_us >> 3); /* the kernel keeps it times eight */
      return 1;
    default: return 1;
  }
}

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
