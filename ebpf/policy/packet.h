/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * Policy on the packets of an isolated pod.
 *   TCP        decided when it is opened: at the SYN that comes in, at connect() or at the SYN that goes out. The verdict lies with the
 *              socket and holds while the set of rows and the isolation are what they were; then the flow is decided anew, in the
 *              direction in which it was opened. So a revoked permission cuts connections that are under way.
 *   datagrams  per flow (both ends and the protocol), remembered in an LRU hash with the epoch: replies pass in either direction.
 *   ICMP       as datagrams without ports: what a class lists for every protocol, or for ICMP. Errors that belong to a pod's TCP or UDP
 *              flow go to the kernel's own sockets and never come here. Neighbour discovery always passes.
 *   fragments  come in reassembled; going out, only raw sockets send them: the first is decided, the others say nothing without it.
 * What a pod sends to its own address or over the loopback is not asked about.
 */
#pragma once

#include "lib/events.h"
#include "lib/pod_slot.h"
#include "policy/flows.h"

#define PINTLE_ETH_IPV4 0x0800
#define PINTLE_ETH_IPV6 0x86dd
#define PINTLE_PROTO_HOPOPTS 0
#define PINTLE_PROTO_ICMP 1
#define PINTLE_PROTO_TCP 6
#define PINTLE_PROTO_UDP 17
#define PINTLE_PROTO_DCCP 33
#define PINTLE_PROTO_ROUTING 43
#define PINTLE_PROTO_FRAGMENT 44
#define PINTLE_PROTO_ICMPV6 58
#define PINTLE_PROTO_NONE 59
#define PINTLE_PROTO_DSTOPTS 60
#define PINTLE_PROTO_SCTP 132
#define PINTLE_PROTO_UDPLITE 136
#define PINTLE_TCP_SYN 0x02
#define PINTLE_TCP_ACK 0x10
#define PINTLE_TCP_STATE_LISTEN 10

#define PINTLE_IPV4_BYTES 20
#define PINTLE_IPV6_BYTES 40

/*
 * What a packet is, as numbers, for the global functions below (lib/events.h): the remote address, `ports` (local << 16 | remote, in host
 * order), and `what`: the protocol, the direction << 8, and flags.
 */
#define PACKET_PROTOCOL(what) ((__u8)(what))
#define PACKET_EGRESS 0x100 /* the direction */
#define PACKET_SYN 0x200    /* the first of a connection */
#define PACKET_TOLD 0x400   /* it is refused for the first time */
#define PACKET_DIRECTION(what) ((what) >> 8 & 1)
#define PACKET_PORT_OF(direction, ports) ((__u16)((ports) >> (((direction) ^ 1) << 4))) /* that policy is asked about */

/* A header: where it begins << 8 | what it is; or one of these, which no extension follows. */
#define HEADER_PASS (1 << 24 | PINTLE_PROTO_NONE) /* a later fragment */
#define HEADER_BAD (1 << 25 | PINTLE_PROTO_NONE)

/* The header after this one, if it is an extension of IPv6; else itself. */
__weak int past_extension(struct __sk_buff* skb, __u32 header) {
  const __u64 extensions =
      1ULL << PINTLE_PROTO_HOPOPTS | 1ULL << PINTLE_PROTO_ROUTING | 1ULL << PINTLE_PROTO_DSTOPTS | 1ULL << PINTLE_PROTO_FRAGMENT;
  const __u32 at = header >> 8, what = header & 0xff;
  if (!(extensions >> (what & 63) & is_zero(what >> 6))) return header;
  __u8 extension[4];
  if (bpf_skb_load_bytes(skb, at, extension, sizeof(extension))) return HEADER_BAD;
  if (what != PINTLE_PROTO_FRAGMENT) return (at + (extension[1] + 1) * 8) << 8 | extension[0];
  if (extension[2] | (extension[3] & 0xf8)) return HEADER_PASS;
  return (at + 8) << 8 | extension[0];
}

/* Asks the rows for a flow that was opened in that direction; what is not isolated is allowed. `control`: the slot's word. */
__weak __u64 opened_answer(__u64 high, __u64 low, __u32 ports, __u32 protocol_and_direction, __u64 control) {
  const __u32 policy = PINTLE_FIRST_WORD(control), flags = PINTLE_SECOND_WORD(control), direction = protocol_and_direction >> 8;
  if (!(flags >> direction & PINTLE_ISOLATE_INGRESS)) return policy_word(policy) << 32 | POLICY_ALLOWED; /* the epoch */
  return policy_answer(high, low, policy, PACKET_PORT_OF(direction, ports) | (protocol_and_direction & 0xff) << 16 | direction << 24);
}

/*
 * Of a connection that is older than the pod's isolation nobody noted who opened it. The pod accepted it if something listens at its own
 * end; asked for with a port that no peer uses, so that the connection itself is not found.
 */
__weak int something_listens(struct __sk_buff* skb, __u64 high, __u64 low, __u32 direction_and_port) {
  const __u32 direction = direction_and_port >> 16;
  const __u16 local_port = (__u16)direction_and_port;
  struct bpf_sock_tuple tuple = {};
  __u32 size;
  if (skb->protocol == bpf_htons(PINTLE_ETH_IPV4)) {
    if (bpf_skb_load_bytes(skb, 16 - 4 * direction, &tuple.ipv4.daddr, 4)) return 0;
    tuple.ipv4.saddr = PINTLE_SECOND_WORD(low);
    tuple.ipv4.dport = bpf_htons(local_port);
    size = sizeof(tuple.ipv4);
  } else {
    if (bpf_skb_load_bytes(skb, 24 - 16 * direction, &tuple.ipv6.daddr, 16)) return 0;
    tuple.ipv6.saddr[0] = PINTLE_FIRST_WORD(high);
    tuple.ipv6.saddr[1] = PINTLE_SECOND_WORD(high);
    tuple.ipv6.saddr[2] = PINTLE_FIRST_WORD(low);
    tuple.ipv6.saddr[3] = PINTLE_SECOND_WORD(low);
    tuple.ipv6.dport = bpf_htons(local_port);
    size = sizeof(tuple.ipv6);
  }
  struct bpf_sock* sk = bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
  if (!sk) return 0;
  const int listens = sk->state == PINTLE_TCP_STATE_LISTEN;
  bpf_sk_release(sk);
  return listens;
}

/* What is to become of it. */
#define PACKET_ALLOWED 1
#define PACKET_DECIDED_NOW 2 /* to be told */

__weak int tcp_allowed(struct __sk_buff* skb, __u64 high, __u64 low, __u32 ports, __u32 what) {
  struct pintle_pod_slot* slot = pod_slot(pod_slot_number());
  struct bpf_sock* sk = skb->sk;
  if (sk) sk = bpf_sk_fullsock(sk);
  if (!sk || !slot) return PACKET_ALLOWED;
  const __u64 control = *(__u64*)&slot->control;
  const __u32 policy = PINTLE_FIRST_WORD(control), flags = PINTLE_SECOND_WORD(control);
  /* The listener's: a SYN, or the last step of a handshake. There is no socket yet for the verdict to lie with. */
  if (sk->state == PINTLE_TCP_STATE_LISTEN) {
    if (what & PACKET_EGRESS) return PACKET_ALLOWED;
    return (opened_answer(high, low, ports, PINTLE_PROTO_TCP | PINTLE_INGRESS << 8, control) & POLICY_ALLOWED) | PACKET_DECIDED_NOW;
  }
  struct pintle_socket_state* state = bpf_sk_storage_get(&policy_sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!state) return PACKET_DECIDED_NOW; /* no memory: refused, as the pod's promise goes */
  const __u64 word = state->word;
  if (is_current(word, (__u32)policy_word(policy), flags)) return (word & PINTLE_SOCKET_ALLOWED) != 0;
  __u64 known = word & (PINTLE_SOCKET_KNOWN | PINTLE_SOCKET_OPENED);
  if (!(known & PINTLE_SOCKET_KNOWN)) {
    known = PINTLE_SOCKET_KNOWN;
    if ((what & (PACKET_SYN | PACKET_EGRESS)) == (PACKET_SYN | PACKET_EGRESS) ||
        !something_listens(skb, high, low, PACKET_DIRECTION(what) << 16 | ports >> 16))
      known |= PINTLE_SOCKET_OPENED;
  }
  const __u64 answer =
      opened_answer(high, low, ports, PINTLE_PROTO_TCP | (known & PINTLE_SOCKET_OPENED) / PINTLE_SOCKET_OPENED << 8, control);
  const __u64 allowed = (answer & POLICY_ALLOWED) * PINTLE_SOCKET_ALLOWED;
  state->word = socket_word(POLICY_EPOCH(answer), flags, known | PINTLE_SOCKET_DECIDED | allowed);
  return (answer & POLICY_ALLOWED) | PACKET_DECIDED_NOW;
}

__weak int datagram_allowed(struct __sk_buff* skb, __u64 high, __u64 low, __u32 ports, __u32 what) {
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return PACKET_ALLOWED;
  const __u64 control = *(__u64*)&slot->control;
  const __u32 policy = PINTLE_FIRST_WORD(control), flags = PINTLE_SECOND_WORD(control), direction = PACKET_DIRECTION(what);
  struct pintle_flow_key key = {
      .slot = number,
      .remote = {PINTLE_FIRST_WORD(high), PINTLE_SECOND_WORD(high), PINTLE_FIRST_WORD(low), PINTLE_SECOND_WORD(low)},
      .remote_port = (__u16)ports,
      .local_port = ports >> 16,
      .protocol = PACKET_PROTOCOL(what)};
  const __u32 isolation = (flags & PINTLE_NETWORK_FLAGS) << 8;
  /* By direction: FROM_PEER or FROM_POD, FROM_POD or FROM_PEER, REFUSED_IN or REFUSED_OUT. */
  const __u32 begun_here = PINTLE_FLOW_FROM_PEER << direction, begun_there = PINTLE_FLOW_FROM_POD >> direction;
  const __u32 refused_here = PINTLE_FLOW_REFUSED_IN << direction;
  const __u64* known = (const __u64*)bpf_map_lookup_elem(&policy_flows, &key);
  const __u64 word = known ? *known : 0;
  const __u32 known_flags = PINTLE_SECOND_WORD(word);
  const __u32 other_epoch = PINTLE_FIRST_WORD(word) ^ (__u32)policy_word(policy);
  if (!(other_epoch | ((known_flags & ~0xffU) ^ isolation))) { /* as it was then; of an unknown flow the isolation is not */
    if (known_flags & (PINTLE_FLOW_FROM_PEER | PINTLE_FLOW_FROM_POD)) return PACKET_ALLOWED;
    if (known_flags & refused_here) return 0;
  }
  const __u32 question = PACKET_PROTOCOL(what) | direction << 8;
  __u32 begun = begun_here;
  __u64 answer = opened_answer(high, low, ports, question, control);
  if (!(answer & POLICY_ALLOWED) && known_flags & begun_there) { /* a reply; but of rows that are no longer in force */
    answer = opened_answer(high, low, ports, question ^ 1 << 8, control);
    begun = begun_there;
  }
  const __u32 allowed = -(__u32)(answer & POLICY_ALLOWED);
  const struct pintle_flow flow = {.epoch = POLICY_EPOCH(answer), .flags = isolation | (begun & allowed) | (refused_here & ~allowed)};
  bpf_map_update_elem(&policy_flows, &key, &flow, BPF_ANY);
  return (answer & POLICY_ALLOWED) | PACKET_DECIDED_NOW;
}

/* A packet that is not allowed: counted and told. 1: it passes all the same, as the pod is only audited. */
__weak int packet_refused(struct __sk_buff* skb, __u64 high, __u64 low, __u32 ports, __u32 what) {
  const __u32 number = pod_slot_number();
  struct pintle_pod_slot* slot = pod_slot(number);
  if (!slot) return 0;
  const __u8 verdict = network_verdict(slot->control.flags);
  if (verdict == PINTLE_WOULD_DENY) __sync_fetch_and_add(&slot->would_deny, 1);
  if (!(what & PACKET_TOLD)) return verdict != PINTLE_DENIED;
  const enum pintle_ring ring = ring_of(verdict);
  struct pintle_event* event = event_reserve(slot, number, PINTLE_EVENT_PACKET, verdict, ring, sizeof(*event));
  if (!event) return verdict != PINTLE_DENIED;
  event_set_socket(event, bpf_skb_cgroup_id(skb), ports >> 16);
  event->socket.port = bpf_htons((__u16)ports);
  event->socket.protocol = PACKET_PROTOCOL(what);
  event->socket.direction = PACKET_DIRECTION(what);
  event_set_address(event, high, low);
  event_submit(event, ring);
  return verdict != PINTLE_DENIED;
}

/* TCP, UDP, DCCP, SCTP and UDP-Lite. */
static __always_inline __u64 has_ports(__u32 protocol) {
  const __u64 low = 1ULL << PINTLE_PROTO_TCP | 1ULL << PINTLE_PROTO_UDP | 1ULL << PINTLE_PROTO_DCCP;
  const __u64 high = 1ULL << (PINTLE_PROTO_SCTP - 128) | 1ULL << (PINTLE_PROTO_UDPLITE - 128);
  const __u64 set = (low & -is_zero(protocol >> 6)) | (high & -is_zero((protocol >> 6) ^ 2));
  return set >> (protocol & 63) & 1;
}

/* Neighbour discovery and multicast listeners: without them there is no IPv6 at all. */
static __always_inline __u64 is_neighbour_discovery(__u32 protocol, __u32 type) {
  const __u64 of_nodes = ((__u64)(type - 130) - 8) >> 63; /* 130 to 137 */
  return is_zero(protocol ^ PINTLE_PROTO_ICMPV6) & (of_nodes | is_zero(type ^ 143));
}

/* 1: let it pass. */
__weak int ask_packet(struct __sk_buff* skb, __u64 high, __u64 low, __u32 header, __u32 direction) {
  const __u32 at = header >> 8, protocol = header & 0xff;
  __u32 head = 0; /* also when there is less */
  const __u64 missing = bpf_skb_load_bytes(skb, at, &head, sizeof(head));
  if (is_loopback(high, low) | is_neighbour_discovery(protocol, *(__u8*)&head)) return 1;
  const __u64 asked_ports = -has_ports(protocol);
  const __u32 source = bpf_ntohl(head) >> 16 & asked_ports, destination = bpf_ntohl(head) & 0xffff & asked_ports;
  const __u32 swap = direction << 4; /* local << 16 | remote */
  const __u32 ports = destination << (16 - swap) | source << swap;
  __u32 what = protocol | direction << 8, result = PACKET_DECIDED_NOW;
  if (protocol == PINTLE_PROTO_TCP) {
    __u8 flags = 0;
    if (bpf_skb_load_bytes(skb, at + 13, &flags, 1) == 0) {
      if ((flags & (PINTLE_TCP_SYN | PINTLE_TCP_ACK)) == PINTLE_TCP_SYN) what |= PACKET_SYN;
      result = tcp_allowed(skb, high, low, ports, what);
    }
  } else if (!(missing & asked_ports)) {
    result = datagram_allowed(skb, high, low, ports, what);
  }
  if (result & PACKET_ALLOWED) return 1;
  return packet_refused(skb, high, low, ports, what | (result & PACKET_DECIDED_NOW) * (PACKET_TOLD / PACKET_DECIDED_NOW));
}

/* The first coming in, the second going out. */
#define PACKET_EITHER(direction, first, second) ((first) ^ (((first) ^ (second)) & -(__typeof__(first))(direction)))

static __always_inline int policy_v4(struct __sk_buff* skb, __u32 direction) {
  __u32 head[5];
  if (bpf_skb_load_bytes(skb, 0, head, sizeof(head))) return packet_refused(skb, 0, 0, 0, direction << 8 | PACKET_TOLD);
  if (head[1] & bpf_htonl(0x1fff) || head[3] == head[4]) return 1; /* a later fragment; to itself */
  const __u32 header = (((__u8*)head)[0] & 15) << 10 | ((__u8*)head)[9];
  return ask_packet(skb, 0, v4_low(PACKET_EITHER(direction, head[3], head[4])), header, direction);
}

static __always_inline int policy_v6(struct __sk_buff* skb, __u32 direction) {
  __u64 head[5]; /* [1]: the source, [3]: the destination */
  if (bpf_skb_load_bytes(skb, 0, head, sizeof(head))) return packet_refused(skb, 0, 0, 0, direction << 8 | PACKET_TOLD);
  if (head[1] == head[3] && head[2] == head[4]) return 1;
  __u32 header = PINTLE_IPV6_BYTES << 8 | ((__u8*)head)[6];
#pragma unroll
  for (int extensions = 0; extensions < 4; ++extensions) header = past_extension(skb, header);
  const __u64 high = PACKET_EITHER(direction, head[1], head[3]), low = PACKET_EITHER(direction, head[2], head[4]);
  if (header == HEADER_PASS) return 1;
  if (header != HEADER_BAD) return ask_packet(skb, high, low, header, direction);
  return is_loopback(high, low) || packet_refused(skb, high, low, 0, direction << 8 | PACKET_TOLD);
}

/* 1: let it pass. REQUIRES: the slot is isolated in some direction. */
__weak int policy_packet(struct __sk_buff* skb, __u32 direction) {
  if (skb->protocol == bpf_htons(PINTLE_ETH_IPV4)) return policy_v4(skb, direction);
  if (skb->protocol == bpf_htons(PINTLE_ETH_IPV6)) return policy_v6(skb, direction);
  return 1;
}
