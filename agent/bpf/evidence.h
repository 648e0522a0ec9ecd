// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Looks around after a refusal, for errno_causes.h: what the target is, what we may do, who sits on the cgroup or above it.
// Costs some dozens of system calls; never used on a path that went well. Thread rule: any; reads the calling thread's capabilities.
#pragma once

#include "base/unique_fd.h"
#include "bpf/errno_causes.h"

namespace pintle::bpf {

[[nodiscard]] Evidence gather_evidence(const DirFd& cgroup, const std::string& path, uint32_t attach_type);

[[nodiscard]] bool is_cgroup2(int fd);
// Of the first cgroup2 in /proc/self/mountinfo; empty: none.
[[nodiscard]] std::string find_cgroup2_mount();
// Effective, by its number (CAP_NET_ADMIN is 12, CAP_BPF 39, CAP_PERFMON 38).
[[nodiscard]] bool has_capability(int number);
[[nodiscard]] bool in_initial_user_namespace();
// Levels between the hierarchy's root, as mounted here, and the cgroup: kubepods/pod… is 2. Programs count by it.
[[nodiscard]] Result<uint32_t> cgroup_level(const DirFd& cgroup);

}  // namespace pintle::bpf
