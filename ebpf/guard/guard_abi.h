// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Rows of what a pod may not use, by its slot.
#pragma once

#include <linux/types.h>

#define PINTLE_GUARD_ROWS 4096
#define PINTLE_DEVICE_ANY 0xffffffffU

struct pintle_device_key {
  __u32 slot;
  __u32 type;          // BPF_DEVCG_DEV_BLOCK or _CHAR
  __u32 major, minor;  // PINTLE_DEVICE_ANY: all
};
// Value: BPF_DEVCG_ACC_* that are refused.

struct pintle_sockopt_key {
  __u32 slot;
  __s32 level, name;
};
// Value: 1.
