// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What a program set says of itself, in the section "pintle.set" of its object: read from the file before anything of it is loaded
// (bpf/set_object.h). PINTLE_SET_ABI is the layout of slots, records and policy rows, that is, the number of the schema folder
// (bpf/layout.h): an agent takes sets of its own number alone.
#pragma once

#include <linux/types.h>

#ifndef PINTLE_SET_ABI
#define PINTLE_SET_ABI 3
#endif
#define PINTLE_SET_SECTION "pintle.set"
#define PINTLE_SET_MAGIC 0x54455350 /* "PSET" */
#define PINTLE_SET_NAME_BYTES 64
#define PINTLE_SET_VERSION_BYTES 56

struct pintle_set_words {
  __u32 magic, abi;
  char version[PINTLE_SET_VERSION_BYTES];
};

#define PINTLE_SET_MAPS 16
// The row of the map that is pinned beside a set's programs: what was put in force, and on which maps.
struct pintle_set_record {
  __u64 object_id;  // of the object's bytes: same id, same code, adopt as is …
  __u32 abi, map_count;
  __u32 map_ids[PINTLE_SET_MAPS];  // … if these are still the maps that are pinned, in the order of their names
  char name[PINTLE_SET_NAME_BYTES];
  char version[PINTLE_SET_VERSION_BYTES];
};
