// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/lifecycle_loader.h"

#include <errno.h>
#include <string.h>

#include "skeleton/lifecycle.lskel.h"
#include "skeleton/lifecycle_id.h"

__u64 pintle_lifecycle_object_id(void) { return PINTLE_LIFECYCLE_OBJECT_ID; }

// Moves the descriptor out, so that the skeleton's destructor leaves it open.
static int take(int* fd) {
  const int taken = *fd;
  *fd = 0;
  return taken;
}

int pintle_lifecycle_load(__u32 slots, __u32 urgent_bytes, __u32 bulk_bytes, char* log, __u32 log_size, struct pintle_lifecycle_fds* out) {
  struct pintle_lifecycle* skel = pintle_lifecycle__open();
  if (!skel) return -ENOMEM;
  skel->maps.pod_slots.max_entries = slots;
  skel->maps.lifecycle_pods.max_entries = slots;
  skel->maps.urgent_events.max_entries = urgent_bytes;
  skel->maps.bulk_events.max_entries = bulk_bytes;
  if (log && log_size) {
    skel->ctx.log_level = 1;
    skel->ctx.log_size = log_size;
    skel->ctx.log_buf = (__u64)(unsigned long)log;
  }
  const int err = pintle_lifecycle__load(skel);
  if (err == 0) {
    out->exec_prog = take(&skel->progs.lifecycle_exec.prog_fd);
    out->exit_prog = take(&skel->progs.lifecycle_exit.prog_fd);
    out->oom_prog = take(&skel->progs.lifecycle_oom.prog_fd);
    out->rmdir_prog = take(&skel->progs.lifecycle_rmdir.prog_fd);
    out->slots = take(&skel->maps.pod_slots.map_fd);
    out->pods = take(&skel->maps.lifecycle_pods.map_fd);
    out->config = take(&skel->maps.lifecycle_config.map_fd);
    out->urgent = take(&skel->maps.urgent_events.map_fd);
    out->bulk = take(&skel->maps.bulk_events.map_fd);
  }
  pintle_lifecycle__destroy(skel);
  return err;
}
