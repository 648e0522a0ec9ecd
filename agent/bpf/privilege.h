// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Which capabilities the daemon needs, why, and how it gives up the rest once its programs are loaded (facts/ebpf 4.7). One table: the
// unit file's CapabilityBoundingSet and the tests follow it. Attaching, adopting, updating and pinning take CAP_NET_ADMIN alone, given
// descriptors; CAP_SYS_ADMIN stays only for mounts, and while it stays it stands in for CAP_BPF and CAP_PERFMON as well, from 6.9 also for
// CAP_NET_ADMIN. Thread rule: capabilities belong to a thread; drop_to_working_set() REQUIRES that there is no other one yet.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "bpf/layout.h"

namespace pintle::bpf {

struct Capability {
  int number;
  std::string_view name;    // "CAP_NET_ADMIN"
  bool after_start;         // needed as long as the daemon runs, not only to load
  bool for_programs_alone;  // needed after start by the eBPF half
  std::string_view reason;
};
[[nodiscard]] std::span<const Capability> needed_capabilities();
// The value of CapabilityBoundingSet=: the names, in the table's order, one space between.
[[nodiscard]] std::string bounding_set();

enum class WorkingSet {
  kNode,          // volumes, cgroups, processes and programs
  kProgramsOnly,  // attach, adopt, update, pin, query: for a process that mounts nothing
};
[[nodiscard]] std::vector<int> working_set(WorkingSet which);

// Whether this kernel lets such a process use maps and links at all: before 5.19 with kernel.unprivileged_bpf_disabled set it doesn't,
// and CAP_BPF must be kept. Tried in a thread of its own, which has ended when this returns.
[[nodiscard]] bool suffices(const std::vector<int>& capabilities);

struct Dropped {
  std::vector<std::string> names;  // that were there before
  bool kept_bpf = false;           // because of suffices()
};
// Effective, permitted, inheritable, ambient and bounding set. kInvalid: other threads run already. Idempotent.
[[nodiscard]] Result<Dropped> drop_to_working_set(WorkingSet which);

// Whoever can open a pin can update or detach it without any capability. kInvalid: others than its owner, us, can; the text has the fix.
[[nodiscard]] Status check_pin_folder(const std::string& path);
// The same for every folder of the layout that is there. For a daemon's start: before it adopts what lies in them.
[[nodiscard]] Status check_pin_folders(const PinLayout& layout);
// Constants of programs that user space could still change are none. False also for a descriptor that is no map.
[[nodiscard]] bool is_frozen(int map_fd);

}  // namespace pintle::bpf
