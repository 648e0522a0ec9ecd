// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// BPF in a user namespace (kernel 6.9, facts/ebpf 3g "User namespace"): the inside opens a bpffs context, the host says what it delegates
// and makes the file system, the inside makes a token from it and loads with that. Three steps in two processes, which pass descriptors
// between them as they like (SCM_RIGHTS). Not for the host's own agent. Thread rule: any.
#pragma once

#include <cstdint>
#include <vector>

#include "base/unique_fd.h"

namespace pintle::bpf {

// Numbers of bpf(2): commands, map types, program types, attach types.
struct Delegation {
  std::vector<uint32_t> commands, maps, programs, attaches;
};
// What Pintle's cgroup programs take, and no more.
[[nodiscard]] Delegation pod_delegation();

// Inside, with CAP_SYS_ADMIN there. kUnsupported: no bpffs for user namespaces.
[[nodiscard]] Result<UniqueFd> open_bpffs_context();
// On the host, with its CAP_SYS_ADMIN: a mounted, nowhere attached bpffs. kUnsupported: the kernel knows no delegation (before 6.9).
[[nodiscard]] Result<UniqueFd> make_delegating_bpffs(int context_fd, const Delegation& delegation);
// Inside again, with CAP_BPF there.
[[nodiscard]] Result<UniqueFd> open_token(int bpffs_fd);

}  // namespace pintle::bpf
