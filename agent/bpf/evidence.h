// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Looks around after a refusal, for errno_causes.h: who we are, what the target is, who sits on the cgroup or above it, what became
// of the link, where the pin would lie. Costs some dozens of system calls; never used on a path that went well, and changes nothing.
// Thread rule: any; reads the calling thread's capabilities.
#pragma once

#include "base/unique_fd.h"
#include "bpf/errno_causes.h"

namespace pintle::bpf {

[[nodiscard]] Process gather_process();
[[nodiscard]] OpenEvidence gather_open_evidence(const std::string& path);

// What was asked of the kernel, as far as the caller knows it.
struct AttachAttempt {
  int program_fd = -1;  // -1: not told
  uint32_t flags = 0;
  uint32_t relative_id = 0;                     // of a program to be before or after
  std::optional<uint32_t> program_attach_type;  // that it was loaded for: the kernel doesn't tell
  const Clock* clock = nullptr;                 // for the time at which a foreign program was loaded; null: left out
};
[[nodiscard]] Evidence gather_evidence(const DirFd& cgroup, const std::string& path, uint32_t attach_type,
                                       const AttachAttempt& attempt = {});

[[nodiscard]] UpdateEvidence gather_update_evidence(int link_fd, int program_fd,
                                                    std::optional<uint32_t> replaced_program_id = std::nullopt);

struct LoadAttempt {
  uint32_t program_type = 0, attach_type = 0;
  uint64_t instructions = 0;
  uint64_t log_bytes = 0, log_needed = 0;
};
[[nodiscard]] LoadEvidence gather_load_evidence(const LoadAttempt& attempt);
// Fills page size, the type's name and whether it is known, and the process.
[[nodiscard]] MapEvidence gather_map_evidence(uint32_t type, uint32_t key_bytes, uint32_t value_bytes, uint32_t max_entries,
                                              uint32_t flags);
[[nodiscard]] MapUse gather_map_use(int map_fd);
[[nodiscard]] PinEvidence gather_pin_evidence(const std::string& path);
enum class TraceKind { kClassic, kBtf, kIterator };
[[nodiscard]] TraceEvidence gather_trace_evidence(TraceKind kind, const std::string& tracepoint, bool has_order = true);

[[nodiscard]] bool is_cgroup2(int fd);
// Of the first cgroup2 in /proc/self/mountinfo; empty: none.
[[nodiscard]] std::string find_cgroup2_mount();
// Effective, by its number (CAP_NET_ADMIN is 12, CAP_BPF 39, CAP_PERFMON 38).
[[nodiscard]] bool has_capability(int number);
[[nodiscard]] bool in_initial_user_namespace();
// "none", "integrity", "confidentiality"; empty: securityfs is not mounted here.
[[nodiscard]] std::string lockdown_mode();
// How deep a cgroup lies. What is mounted in a container, or on a node that is one itself (kind), begins somewhere in the hierarchy.
struct CgroupDepth {
  uint32_t level = 0;      // below the root as mounted here: kubepods/pod… is 2
  bool from_root = false;  // that is the hierarchy's own, so that programs of the kernel count the same; else theirs is more
};
[[nodiscard]] Result<CgroupDepth> cgroup_depth(const DirFd& cgroup);
// The folder above; invalid at the hierarchy's root or when it is gone.
[[nodiscard]] UniqueFd parent_cgroup(int dir);

}  // namespace pintle::bpf
