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
#define PINTLE_PROTO_DSTOPTS 60
#define PINTLE_PROTO_SCTP 132
#define PINTLE_PROTO_UDPLITE 136
#define PINTLE_TCP_SYN 0x02
#define PINTLE_TCP_ACK 0x10
#define PINTLE_TCP_STATE_LISTEN 10

enum packet_kind { PACKET_BAD, PACKET_PASS, PACKET_ASK };

struct packet {
  struct policy_question question; /* remote and protocol */
  __u32 local[4];
  __u16 remote_port, local_port;
  __u8 tcp_flags;
  __u8 newly_decided;
};

static __always_inline int has_ports(__u8 protocol) {
  return protocol == PINTLE_PROTO_TCP || protocol == PINTLE_PROTO_UDP || protocol == PINTLE_PROTO_SCTP || protocol == PINTLE_PROTO_DCCP ||
         protocol == PINTLE_PROTO_UDPLITE;
}

/* Neighbour discovery and multicast listeners: without them there is no IPv6 at all. */
static __always_inline int is_neighbour_discovery(__u8 type) { return (type >= 130 && type <= 137) || type == 143; }

static __always_inline enum packet_kind parse_ports(struct __sk_buff* skb, __u32 at, __u8 direction, struct packet* packet) {
  const __u8 protocol = packet->question.protocol;
  __u16 ports[2] = {};
  const int missing = bpf_skb_load_bytes(skb, at, ports, sizeof(ports)) != 0;
  if (protocol == PINTLE_PROTO_ICMPV6 && !missing && is_neighbour_discovery(*(const __u8*)ports)) return PACKET_PASS;
  if (!has_ports(protocol)) return PACKET_ASK;
  if (missing || (protocol == PINTLE_PROTO_TCP && bpf_skb_load_bytes(skb, at + 13, &packet->tcp_flags, 1))) return PACKET_BAD;
  packet->remote_port = bpf_ntohs(ports[direction == PINTLE_INGRESS ? 0 : 1]);
  packet->local_port = bpf_ntohs(ports[direction == PINTLE_INGRESS ? 1 : 0]);
  return PACKET_ASK;
}

static __always_inline enum packet_kind parse_v4(struct __sk_buff* skb, __u8 direction, struct packet* packet) {
  __u32 head[5];
  if (bpf_skb_load_bytes(skb, 0, head, sizeof(head))) return PACKET_BAD;
  if (head[1] & bpf_htonl(0x1fff)) return PACKET_PASS; /* a later fragment */
  if (head[3] == head[4]) return PACKET_PASS;
  packet->question.remote[2] = bpf_htonl(0xffff);
  packet->question.remote[3] = direction == PINTLE_INGRESS ? head[3] : head[4];
  packet->local[2] = bpf_htonl(0xffff);
  packet->local[3] = direction == PINTLE_INGRESS ? head[4] : head[3];
  packet->question.protocol = ((__u8*)head)[9];
  return parse_ports(skb, (((__u8*)head)[0] & 15) * 4, direction, packet);
}

static __always_inline enum packet_kind parse_v6(struct __sk_buff* skb, __u8 direction, struct packet* packet) {
  __u32 head[10];
  if (bpf_skb_load_bytes(skb, 0, head, sizeof(head))) return PACKET_BAD;
  if (head[2] == head[6] && head[3] == head[7] && head[4] == head[8] && head[5] == head[9]) return PACKET_PASS;
  __builtin_memcpy(packet->question.remote, direction == PINTLE_INGRESS ? &head[2] : &head[6], 16);
  __builtin_memcpy(packet->local, direction == PINTLE_INGRESS ? &head[6] : &head[2], 16);
  __u8 next = ((__u8*)head)[6];
  __u32 at = sizeof(head);
  for (int headers = 0; headers < 4; ++headers) {
    if (next != PINTLE_PROTO_HOPOPTS && next != PINTLE_PROTO_ROUTING && next != PINTLE_PROTO_DSTOPTS && next != PINTLE_PROTO_FRAGMENT)
      break;
    __u8 extension[4];
    if (bpf_skb_load_bytes(skb, at, extension, sizeof(extension))) return PACKET_BAD;
    if (next == PINTLE_PROTO_FRAGMENT && (extension[2] | (extension[3] & 0xf8))) return PACKET_PASS;
    at += next == PINTLE_PROTO_FRAGMENT ? 8 : (extension[1] + 1) * 8;
    next = extension[0];
  }
  packet->question.protocol = next;
  return parse_ports(skb, at, direction, packet);
}

/* Asks the rows for a flow that was opened in this direction; what is not isolated is allowed. */
static __always_inline int opened_allowed(struct packet* packet, __u32 flags, __u8 direction) {
  if (!(flags & (direction == PINTLE_INGRESS ? PINTLE_ISOLATE_INGRESS : PINTLE_ISOLATE_EGRESS))) return 1;
  packet->question.direction = direction;
  packet->question.port = direction == PINTLE_INGRESS ? packet->local_port : packet->remote_port;
  return policy_allows(&packet->question);
}

/*
 * Of a connection that is older than the pod's isolation nobody noted who opened it. The pod accepted it if something listens at its own
 * end; asked for with a port that no peer uses, so that the connection itself is not found.
 */
static __always_inline int something_listens(struct __sk_buff* skb, const struct packet* packet) {
  struct bpf_sock_tuple tuple = {};
  __u32 size;
  if (packet->local[0] == 0 && packet->local[1] == 0 && packet->local[2] == bpf_htonl(0xffff)) {
    tuple.ipv4.saddr = packet->question.remote[3];
    tuple.ipv4.daddr = packet->local[3];
    tuple.ipv4.dport = bpf_htons(packet->local_port);
    size = sizeof(tuple.ipv4);
  } else {
    __builtin_memcpy(tuple.ipv6.saddr, packet->question.remote, 16);
    __builtin_memcpy(tuple.ipv6.daddr, packet->local, 16);
    tuple.ipv6.dport = bpf_htons(packet->local_port);
    size = sizeof(tuple.ipv6);
  }
  struct bpf_sock* sk = bpf_sk_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
  if (!sk) return 0;
  const int listens = sk->state == PINTLE_TCP_STATE_LISTEN;
  bpf_sk_release(sk);
  return listens;
}

static __always_inline int is_opening(const struct packet* packet, __u8 direction) {
  return direction == PINTLE_EGRESS && (packet->tcp_flags & (PINTLE_TCP_SYN | PINTLE_TCP_ACK)) == PINTLE_TCP_SYN;
}

static __always_inline int tcp_allowed(struct __sk_buff* skb, __u32 flags, __u8 direction, struct packet* packet) {
  struct bpf_sock* sk = skb->sk;
  if (sk) sk = bpf_sk_fullsock(sk);
  if (!sk) return 1;
  packet->newly_decided = 1;
  /* The listener's: a SYN, or the last step of a handshake. There is no socket yet for the verdict to lie with. */
  if (sk->state == PINTLE_TCP_STATE_LISTEN) return direction == PINTLE_INGRESS ? opened_allowed(packet, flags, PINTLE_INGRESS) : 1;
  struct pintle_socket_state* state = bpf_sk_storage_get(&policy_sockets, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
  if (!state) return 0; /* no memory: refused, as the pod's promise goes */
  const __u64 word = state->word;
  packet->question.epoch = (__u32)policy_word(packet->question.policy);
  if (is_current(word, packet->question.epoch, flags)) {
    packet->newly_decided = 0;
    return (word & PINTLE_SOCKET_ALLOWED) != 0;
  }
  __u64 known = word & (PINTLE_SOCKET_KNOWN | PINTLE_SOCKET_OPENED);
  if (!(known & PINTLE_SOCKET_KNOWN)) {
    known = PINTLE_SOCKET_KNOWN;
    if (is_opening(packet, direction) || !something_listens(skb, packet)) known |= PINTLE_SOCKET_OPENED;
  }
  const int allowed = opened_allowed(packet, flags, known & PINTLE_SOCKET_OPENED ? PINTLE_EGRESS : PINTLE_INGRESS);
  state->word = socket_word(packet->question.epoch, flags, known | PINTLE_SOCKET_DECIDED | (allowed ? PINTLE_SOCKET_ALLOWED : 0));
  return allowed;
}

static __always_inline int datagram_allowed(__u32 number, __u32 flags, __u8 direction, struct packet* packet) {
  struct pintle_flow_key key = {
      .slot = number, .remote_port = packet->remote_port, .local_port = packet->local_port, .protocol = packet->question.protocol};
  __builtin_memcpy(key.remote, packet->question.remote, sizeof(key.remote));
  const __u32 isolation = (flags & PINTLE_NETWORK_FLAGS) << 8;
  const __u32 begun_here = direction == PINTLE_INGRESS ? PINTLE_FLOW_FROM_PEER : PINTLE_FLOW_FROM_POD;
  const __u32 begun_there = direction == PINTLE_INGRESS ? PINTLE_FLOW_FROM_POD : PINTLE_FLOW_FROM_PEER;
  const __u32 refused_here = direction == PINTLE_INGRESS ? PINTLE_FLOW_REFUSED_IN : PINTLE_FLOW_REFUSED_OUT;
  packet->question.epoch = (__u32)policy_word(packet->question.policy);
  const struct pintle_flow* known = bpf_map_lookup_elem(&policy_flows, &key);
  const __u32 known_flags = known ? known->flags : 0;
  packet->newly_decided = 1;
  if (known && known->epoch == packet->question.epoch && (known_flags & ~0xffU) == isolation) {
    packet->newly_decided = 0;
    if (known_flags & (begun_here | begun_there)) return 1;
    if (known_flags & refused_here) return 0;
    packet->newly_decided = 1;
  }
  struct pintle_flow flow = {.flags = isolation | begun_here};
  int allowed = opened_allowed(packet, flags, direction);
  if (!allowed && known_flags & begun_there) { /* a reply; but of rows that are no longer in force */
    allowed = opened_allowed(packet, flags, direction == PINTLE_INGRESS ? PINTLE_EGRESS : PINTLE_INGRESS);
    flow.flags = isolation | begun_there;
  }
  if (!allowed) flow.flags = isolation | refused_here;
  flow.epoch = packet->question.epoch;
  bpf_map_update_elem(&policy_flows, &key, &flow, BPF_ANY);
  return allowed;
}

static __always_inline void tell_packet(struct __sk_buff* skb, struct pintle_pod_slot* slot, __u32 number, __u8 verdict, __u8 direction,
                                        const struct packet* packet) {
  const enum pintle_ring ring = ring_of(verdict);
  struct pintle_event* event = event_reserve(slot, number, PINTLE_EVENT_PACKET, verdict, ring, sizeof(*event));
  if (!event) return;
  event->cgroup_id = bpf_skb_cgroup_id(skb);
  event->socket.port = bpf_htons(packet->remote_port);
  event->socket.protocol = packet->question.protocol;
  event->socket.direction = direction;
  event->local_port = packet->local_port;
  event_set_address(event, packet->question.remote);
  event_submit(event, ring);
}

/* 1: let it pass. REQUIRES: the slot is isolated in some direction. */
static __always_inline int policy_packet(struct __sk_buff* skb, struct pintle_pod_slot* slot, __u32 number, __u8 direction) {
  const __u32 flags = slot->control.flags;
  struct packet packet = {.question = {.policy = slot->control.policy}};
  const enum packet_kind kind = skb->protocol == bpf_htons(PINTLE_ETH_IPV4)   ? parse_v4(skb, direction, &packet)
                                : skb->protocol == bpf_htons(PINTLE_ETH_IPV6) ? parse_v6(skb, direction, &packet)
                                                                              : PACKET_PASS;
  if (kind == PACKET_PASS || is_loopback(packet.question.remote)) return 1;
  if (kind == PACKET_ASK) {
    const int allowed = packet.question.protocol == PINTLE_PROTO_TCP ? tcp_allowed(skb, flags, direction, &packet)
                                                                     : datagram_allowed(number, flags, direction, &packet);
    if (allowed) return 1;
  } else {
    packet.newly_decided = 1;
  }
  const __u8 verdict = network_verdict(flags);
  if (verdict == PINTLE_WOULD_DENY) __sync_fetch_and_add(&slot->would_deny, 1);
  if (packet.newly_decided) tell_packet(skb, slot, number, verdict, direction, &packet);
  return verdict != PINTLE_DENIED;
}
