// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Goal G7: an agent that is killed at any instant leaves nothing that one reconcile does not mend. A child does an agent's work on pods of
// its own and is killed, by ptrace, before or after a random one of the system calls that change something; then a fresh attacher
// reconciles once, and what is left is counted. Each point is a kill: how many calls a work has is first learnt from a child that may end,
// and one that ends before the call drawn (it had less to do than that one) is looked at too, and drawn anew. The program set stays pinned
// from one point to the next, so that its programs are adopted and neither loaded nor freed; points that switch sets are few, and the next
// one waits until the kernel has freed what was killed (bounded). REQUIRES: root, a mount namespace of the process's own, one thread.
#pragma once

#include <string>

#include "base/result.h"

namespace pintle::crash {

struct Options {
  std::string bpffs;        // where pins may be made
  std::string cgroups;      // a folder of a cgroup2 tree, made here and removed
  std::string sets_folder;  // with a set 'next'
  int points = 40;
  uint64_t seed = 1;
};

// All but the first four are to be 0.
struct Figures {
  int points = 0, ended = 0, switches = 0, calls = 0;  // points: kills; ended: children that were not killed; calls: of a whole child each
  int orphan_pins = 0;                                 // pins or folders after the reconcile that no pod wants
  int missing_hooks = 0;                               // hooks that are wanted, and are not run exactly once
  int changed_links = 0;                               // of a pod that the child had no business with
  int leaked_slots = 0;                                // rows of slots for cgroups of no pod
  int left_folders = 0;                                // what is only there while something is made: tmp_…, next, prev, the check's cgroup
  int without_programs = 0;                            // hooks of pods that the kernel did not run at the moment of the kill
  int mixed_sets = 0;                                  // pods whose hooks are of two sets
  std::string first_fault;                             // with point and seed; empty: none
  [[nodiscard]] int faults() const {
    return orphan_pins + missing_hooks + changed_links + leaked_slots + left_folders + without_programs + mixed_sets;
  }
};

// kUnsupported: no eBPF, or no ptrace.
[[nodiscard]] Result<Figures> run_crash_points(const Options& options);

}  // namespace pintle::crash
