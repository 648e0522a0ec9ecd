// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the kernel really runs for a cgroup and hook (BPF_PROG_QUERY, facts/ebpf 3g "Conflicts" and "Verdicts"): the effective list, and
// the lists of this cgroup and of each above it, which tell whose the others are. Attached is not effective, and effective is not last:
// a parent's program runs after the pod's and may undo its answer. Reads only, about 2 µs a query; nothing foreign is ever touched.
// Names, tags, uids and load times of others need CAP_SYS_ADMIN and stay empty without. Thread rule: any.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "model/ebpf.h"

namespace pintle::bpf {

struct EffectiveQuery {
  const DirFd& cgroup;
  std::string path;  // of the cgroup, for the neighbours' names
  uint32_t attach_type = 0;
  uint32_t program_id = 0;                   // ours
  std::span<const uint32_t> also_ours = {};  // other programs of Pintle's: not neighbours
};

struct EffectiveView {
  enum class Answer {
    kTold,
    kCgroupGone,
    kUnknownHook,
    kNotAllowed,  // CAP_NET_ADMIN is missing, or a user namespace
  };
  Answer answer = Answer::kTold;
  int sys_errno = 0;                              // of an answer that is not kTold
  std::vector<uint32_t> running;                  // in the order in which they run; a program that is attached twice runs twice
  int position = 0;                               // of ours, from 1; 0: it does not run
  std::vector<model::ForeignProgram> neighbours;  // nearest cgroup first
};
[[nodiscard]] EffectiveView query_effective(const EffectiveQuery& query, const Clock& clock);

// Fills position, count and neighbours of a hook that is attached, and its state when it is not in force after all: kOverridden when
// the kernel does not run ours or the link holds another's program (`link_program_id`), kDead when the cgroup is gone. A question that
// can't be asked leaves the status as it is, with count 0.
void add_effective(model::HookStatus& status, const EffectiveQuery& query, uint32_t link_program_id, const Clock& clock);

}  // namespace pintle::bpf
