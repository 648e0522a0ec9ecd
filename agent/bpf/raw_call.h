// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The few forms of bpf(2) that libbpf 1.4 can't say: cgroup links with an order (kernel 6.15 and 6.17), queries that tell the
// revision, tokens (6.9), programs whose CO-RE relocations the kernel applies (5.17); and what a start waits for: BTF and maps without the
// two programs by which libbpf probes the kernel first. So names must be known to it (4.15), and RLIMIT_MEMLOCK is left as it is (before
// 5.11: EPERM). Layouts are the kernel's own, which never change once published. Not for what libbpf does as well. Thread rule: any.
// Errors carry the kernel's errno untouched.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "bpf/elf_object.h"

namespace pintle::bpf {

// Newer than the headers of Debian 12.
inline constexpr uint32_t kFlagAllowOverride = 1U << 0, kFlagAllowMulti = 1U << 1, kFlagReplace = 1U << 2;
inline constexpr uint32_t kFlagBefore = 1U << 3, kFlagAfter = 1U << 4, kFlagId = 1U << 5, kFlagPreorder = 1U << 6;
inline constexpr uint32_t kFlagLink = 1U << 13;  // what BEFORE and AFTER are relative to is a link; of a new link it must be one

struct LinkRequest {
  int program_fd = -1, cgroup_fd = -1;
  uint32_t attach_type = 0, flags = 0;
  uint32_t relative = 0;           // a program's descriptor, with kFlagId its id, with kFlagLink a link's; 0: none
  uint64_t expected_revision = 0;  // of the list; 0: whatever it is
};
[[nodiscard]] Result<UniqueFd> create_cgroup_link(const LinkRequest& request);

struct AttachedPrograms {
  std::vector<uint32_t> ids;  // in the order in which they run
  uint32_t flags = 0;         // of the cgroup's own list: 0 exclusive, kFlagAllowOverride, kFlagAllowMulti
  uint64_t revision = 0;      // 0: this kernel keeps none
};
enum class QueryScope { kOwn, kEffective };
// Needs CAP_NET_ADMIN. EINVAL: a hook that this kernel doesn't know. ENOENT, ENODEV, ENXIO: the cgroup is gone.
[[nodiscard]] Result<AttachedPrograms> query_cgroup(int cgroup_fd, uint32_t attach_type, QueryScope scope);

struct MapRequest {
  std::string name;
  uint32_t type = 0, key_size = 0, value_size = 0, max_entries = 0, flags = 0;
  int types_fd = -1;  // of BTF that has the next two; else none is told
  uint32_t key_type = 0, value_type = 0;
};
[[nodiscard]] Result<UniqueFd> create_map(const MapRequest& request);
[[nodiscard]] Result<UniqueFd> load_types(std::span<const std::byte> btf);

struct ProgramRequest {
  const ElfProgram& program;               // but for its instructions
  std::span<const bpf_insn> instructions;  // with the descriptors of maps
  const std::string& license;
  int types_fd = -1;
  std::span<char> log = {};  // empty: the verifier says nothing
};
// Tried again where a signal interrupted the verifier (EAGAIN), five times.
[[nodiscard]] Result<UniqueFd> load_program(const ProgramRequest& request);

// `bpffs_fd`: an open directory of a bpffs that delegates. EOPNOTSUPP (or EINVAL before 6.9), EPERM: not in its user namespace.
[[nodiscard]] Result<UniqueFd> create_token(int bpffs_fd);

}  // namespace pintle::bpf
