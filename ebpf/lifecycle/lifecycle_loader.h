/* SPDX-License-Identifier: Apache-2.0 */
/* Copyright The Pintle Authors */
/*
 * The light skeleton of the lifecycle object behind its descriptors: bpftool generates C that C++ does not accept.
 * The caller owns every descriptor of a successful load.
 */
#pragma once

#include <linux/types.h>

#ifdef __cplusplus
extern "C" {
#endif

struct pintle_lifecycle_fds {
  int exec_prog, exit_prog, oom_prog, rmdir_prog;
  int slots, urgent, bulk; /* also the cgroup object's */
  int pods, config;
};

/* The id of the code that pintle_lifecycle_load() loads. */
__u64 pintle_lifecycle_object_id(void);
/* 0, or the negative errno; `log` (may be null) receives the verifier's words. No CO-RE in user space: needs 5.14. */
int pintle_lifecycle_load(__u32 slots, __u32 urgent_bytes, __u32 bulk_bytes, char* log, __u32 log_size, struct pintle_lifecycle_fds* out);

#ifdef __cplusplus
}
#endif
