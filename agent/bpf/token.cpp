// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/token.h"

#include <cerrno>

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/mount.h>

#include <fmt/format.h>

#include "bpf/raw_call.h"

namespace pintle::bpf {
namespace {

Status set_mask(int context, const char* key, const std::vector<uint32_t>& numbers) {
  uint64_t mask = 0;
  for (const auto number : numbers) mask |= 1ULL << number;
  const std::string value = fmt::format("{:#x}", mask);
  if (::fsconfig(context, FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0) return {};
  auto error = error_from_errno(errno, fmt::format("set {} of the bpffs to {}", key, value));
  if (error.sys_errno == EINVAL) error.code = Code::kUnsupported;
  return std::unexpected(std::move(error));
}

}  // namespace

Delegation pod_delegation() {
  return {{BPF_MAP_CREATE, BPF_PROG_LOAD, BPF_BTF_LOAD, BPF_LINK_CREATE},
          {BPF_MAP_TYPE_ARRAY, BPF_MAP_TYPE_HASH, BPF_MAP_TYPE_LPM_TRIE, BPF_MAP_TYPE_CGROUP_STORAGE, BPF_MAP_TYPE_RINGBUF},
          {BPF_PROG_TYPE_CGROUP_SKB, BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_PROG_TYPE_SOCK_OPS, BPF_PROG_TYPE_CGROUP_DEVICE,
           BPF_PROG_TYPE_CGROUP_SYSCTL, BPF_PROG_TYPE_CGROUP_SOCKOPT},
          {BPF_CGROUP_INET_INGRESS, BPF_CGROUP_INET_EGRESS, BPF_CGROUP_INET4_CONNECT, BPF_CGROUP_INET6_CONNECT, BPF_CGROUP_UDP4_SENDMSG,
           BPF_CGROUP_UDP6_SENDMSG, BPF_CGROUP_INET4_BIND, BPF_CGROUP_INET6_BIND, BPF_CGROUP_SOCK_OPS, BPF_CGROUP_DEVICE, BPF_CGROUP_SYSCTL,
           BPF_CGROUP_SETSOCKOPT}};
}

Result<UniqueFd> open_bpffs_context() {
  UniqueFd fd(::fsopen("bpf", FSOPEN_CLOEXEC));
  if (fd.valid()) return fd;
  auto error = error_from_errno(errno, "open a bpffs");
  if (error.sys_errno == ENODEV || error.sys_errno == ENOSYS) error.code = Code::kUnsupported;
  return std::unexpected(std::move(error));
}

Result<UniqueFd> make_delegating_bpffs(int context_fd, const Delegation& delegation) {
  PINTLE_TRY(set_mask(context_fd, "delegate_cmds", delegation.commands));
  PINTLE_TRY(set_mask(context_fd, "delegate_maps", delegation.maps));
  PINTLE_TRY(set_mask(context_fd, "delegate_progs", delegation.programs));
  PINTLE_TRY(set_mask(context_fd, "delegate_attachs", delegation.attaches));
  if (::fsconfig(context_fd, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return fail_errno(errno, "make the delegating bpffs");
  UniqueFd mounted(::fsmount(context_fd, FSMOUNT_CLOEXEC, 0));
  if (!mounted.valid()) return fail_errno(errno, "mount the delegating bpffs");
  return mounted;
}

Result<UniqueFd> open_token(int bpffs_fd) {
  // A mount's descriptor is a mere path; the token wants the file system's root opened.
  const UniqueFd root(::openat(bpffs_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return fail_errno(errno, "open the delegated bpffs");
  return create_token(root.get());
}

}  // namespace pintle::bpf
