// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Network policy as rows of flat maps (no map in a map: replacing one waits for an RCU grace period, 8 to 12 ms). A set of rows is
// named by its epoch, which is never given twice; policy_state says which set a policy's pods go by. To replace a set: insert
// the rows of a new epoch, store policy_state, delete the old rows. What model/policy_rows.h means, these rows mean.
#pragma once

#include <linux/types.h>

#include "lib/event_abi.h"

#define PINTLE_POLICY_SETS 1024
#define PINTLE_POLICY_ROWS 16384
#define PINTLE_POLICY_FLOWS 8192

// By the policy's id. Row 0 holds the last epoch given out, and is no policy.
struct pintle_policy_state {
  __u32 epoch;
  __u32 flags;
};
enum pintle_policy_state_flags {  // by pintle_direction: shift left by it
  PINTLE_HAS_ADDRESSES = 1 << 0,
  PINTLE_HAS_PREFIXES = 1 << 2,
};

// Rows of both directions lie in the same maps.
#define PINTLE_SET_OF(epoch, direction) ((epoch) << 1 | (direction))

struct pintle_address_key {
  __u32 set;
  __u8 address[16];
};
struct pintle_prefix_key {  // a length and an address key
  __u32 length;             // 32 + that of the prefix
  __u32 set;
  __u8 address[16];
};
#define PINTLE_SET_BITS 32

// What a class of peers may use. A range is cut into blocks of a power of two, as prefixes are; a class of which every protocol is open has
// one row that ends before it. One map and one look-up: whatever the programs do here the verifier walks in each of six of them.
struct pintle_port_key {
  __u32 length;  // 80 + bits of the port that count, or 64
  __u32 set;
  __u32 number;  // the class's
  __u8 protocol;
  __u8 reserved;
  __u16 port;  // network order
};
#define PINTLE_CLASS_BITS 64
#define PINTLE_PORT_BITS 80

// Datagram flows that one direction let pass, so that their replies pass the other.
struct pintle_flow_key {
  __u32 slot;
  __u32 remote[4];
  __u16 remote_port, local_port;  // host order; 0 for protocols without ports
  __u8 protocol;
  __u8 reserved[3];
};
struct pintle_flow {
  __u32 epoch;
  __u32 flags;
};
enum pintle_flow_flags {
  PINTLE_FLOW_FROM_PEER = 1,  // the peer sent first
  PINTLE_FLOW_FROM_POD = 2,
  PINTLE_FLOW_REFUSED_IN = 4,  // told already, in this epoch
  PINTLE_FLOW_REFUSED_OUT = 8,
};

// A TCP socket's cached verdict, in one word: epoch << 32 | network flags of the slot << 8 | these.
enum pintle_socket_flags {
  PINTLE_SOCKET_KNOWN = 1,    // the next flag holds
  PINTLE_SOCKET_OPENED = 2,   // by the pod; else accepted
  PINTLE_SOCKET_DECIDED = 4,  // the next flag holds
  PINTLE_SOCKET_ALLOWED = 8,
};
struct pintle_socket_state {
  __u64 word;
};
