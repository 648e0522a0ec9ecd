// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/raw_call.h"

#include <cerrno>

#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <fmt/format.h>

namespace pintle::bpf {
namespace {

constexpr int kTokenCreate = 36;

struct LinkCreateAttr {
  uint32_t program_fd, target_fd, attach_type, flags;
  uint32_t relative, padding;
  uint64_t expected_revision;
};
struct QueryAttr {
  uint32_t target_fd, attach_type, query_flags, attach_flags;
  uint64_t ids;
  uint32_t count, padding;
  uint64_t program_flags, link_ids, link_flags, revision;
};
struct TokenAttr {
  uint32_t flags;
  uint32_t bpffs_fd;
};

uint64_t address(const void* data) { return static_cast<uint64_t>(reinterpret_cast<uintptr_t>(data)); }

template <typename Attr>
int call(int command, Attr& attr, size_t size = sizeof(Attr)) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attr, size));
}

// Kernels refuse (E2BIG) an attribute that is longer than theirs only when the rest is not zero, so one size serves all.
int query(QueryAttr& attr) { return call(BPF_PROG_QUERY, attr); }

}  // namespace

Result<UniqueFd> create_cgroup_link(const LinkRequest& request) {
  LinkCreateAttr attr{};
  attr.program_fd = static_cast<uint32_t>(request.program_fd);
  attr.target_fd = static_cast<uint32_t>(request.cgroup_fd);
  attr.attach_type = request.attach_type;
  attr.flags = request.flags;
  attr.relative = request.relative;
  attr.expected_revision = request.expected_revision;
  UniqueFd fd(call(BPF_LINK_CREATE, attr));
  if (!fd.valid()) return fail_errno(errno, "create link");
  return fd;
}

Result<AttachedPrograms> query_cgroup(int cgroup_fd, uint32_t attach_type, QueryScope scope) {
  AttachedPrograms out;
  out.ids.resize(64);
  for (;;) {
    QueryAttr attr{};
    attr.target_fd = static_cast<uint32_t>(cgroup_fd);
    attr.attach_type = attach_type;
    attr.query_flags = scope == QueryScope::kEffective ? BPF_F_QUERY_EFFECTIVE : 0;
    attr.ids = reinterpret_cast<uintptr_t>(out.ids.data());
    attr.count = static_cast<uint32_t>(out.ids.size());
    if (query(attr) == 0) {
      out.ids.resize(attr.count);
      out.flags = attr.attach_flags;
      out.revision = attr.revision;
      return out;
    }
    // ENOSPC tells how many there are: 64 for each level.
    if (errno != ENOSPC || attr.count <= out.ids.size()) return fail_errno(errno, "query programs");
    out.ids.resize(attr.count + 16);
  }
}

Result<UniqueFd> create_map(const MapRequest& request) {
  bpf_attr attr{};
  attr.map_type = request.type;
  attr.key_size = request.key_size;
  attr.value_size = request.value_size;
  attr.max_entries = request.max_entries;
  attr.map_flags = request.flags;
  request.name.copy(attr.map_name, sizeof attr.map_name - 1);
  if (request.types_fd >= 0) {
    attr.btf_fd = static_cast<uint32_t>(request.types_fd);
    attr.btf_key_type_id = request.key_type;
    attr.btf_value_type_id = request.value_type;
  }
  UniqueFd fd(call(BPF_MAP_CREATE, attr));
  if (!fd.valid()) return fail_errno(errno, fmt::format("make map '{}'", request.name));
  return fd;
}

Result<UniqueFd> load_types(std::span<const std::byte> btf) {
  bpf_attr attr{};
  attr.btf = address(btf.data());
  attr.btf_size = static_cast<uint32_t>(btf.size());
  UniqueFd fd(call(BPF_BTF_LOAD, attr));
  if (!fd.valid()) return fail_errno(errno, "load BTF");
  return fd;
}

Result<UniqueFd> load_program(const ProgramRequest& request) {
  const auto& program = request.program;
  bpf_attr attr{};
  attr.prog_type = program.type;
  attr.expected_attach_type = program.attach_type;
  attr.insns = address(request.instructions.data());
  attr.insn_cnt = static_cast<uint32_t>(request.instructions.size());
  attr.license = address(request.license.c_str());
  program.name.copy(attr.prog_name, sizeof attr.prog_name - 1);
  attr.prog_btf_fd = static_cast<uint32_t>(request.types_fd);
  attr.func_info = address(program.functions.bytes.data());
  attr.func_info_rec_size = program.functions.size;
  attr.func_info_cnt = program.functions.count;
  attr.line_info = address(program.lines.bytes.data());
  attr.line_info_rec_size = program.lines.size;
  attr.line_info_cnt = program.lines.count;
  if (program.relocations.count != 0) {  // a kernel before 5.17 refuses what it does not know
    attr.core_relos = address(program.relocations.bytes.data());
    attr.core_relo_rec_size = program.relocations.size;
    attr.core_relo_cnt = program.relocations.count;
  }
  if (!request.log.empty()) {
    attr.log_level = 1;
    attr.log_buf = address(request.log.data());
    attr.log_size = static_cast<uint32_t>(request.log.size());
  }
  UniqueFd fd;
  for (int tries = 0; tries < 5 && !fd.valid(); ++tries) {
    fd = UniqueFd(call(BPF_PROG_LOAD, attr));
    if (!fd.valid() && errno != EAGAIN) break;
  }
  if (!fd.valid()) return fail_errno(errno, "load program");
  return fd;
}

Result<UniqueFd> create_token(int bpffs_fd) {
  TokenAttr attr{0, static_cast<uint32_t>(bpffs_fd)};
  UniqueFd fd(call(kTokenCreate, attr));
  if (!fd.valid()) return fail_errno(errno, "create a BPF token");
  return fd;
}

}  // namespace pintle::bpf
