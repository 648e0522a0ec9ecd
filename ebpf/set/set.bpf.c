/* SPDX-License-Identifier: GPL-2.0 OR Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * No program: the words by which a linked set tells who it is.
 */
#include "set/set_abi.h"

#include <bpf/bpf_helpers.h>

#ifndef PINTLE_SET_VERSION
#define PINTLE_SET_VERSION "unversioned"
#endif

const struct pintle_set_words pintle_set_words SEC(PINTLE_SET_SECTION) = {
    .magic = PINTLE_SET_MAGIC,
    .abi = PINTLE_SET_ABI,
    .version = PINTLE_SET_VERSION,
};

char LICENSE[] SEC("license") __weak = "Dual BSD/GPL";
