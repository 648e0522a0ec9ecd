// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/errno_causes.h"

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

namespace pintle::bpf {
namespace {

Explanation explain_eperm(const Evidence& evidence) {
  if (!evidence.has_net_admin)
    return {Cause::kMissingCapability,
            "the agent lacks CAP_NET_ADMIN: give it back (systemd: AmbientCapabilities=, Kubernetes: capabilities.add)"};
  if (evidence.foreign) {
    const auto& other = *evidence.foreign;
    return {Cause::kForeignProgram,
            fmt::format("program {} '{}' (uid {}) on '{}' was attached {}: detach it, or attach it again with BPF_F_ALLOW_MULTI", other.id,
                        other.name, other.uid, other.cgroup, other.overridable ? "with ALLOW_OVERRIDE" : "as the only one allowed")};
  }
  if (!evidence.initial_user_namespace)
    return {Cause::kUserNamespace, "the agent runs in a user namespace: run it in the host's, or give it a BPF token (kernel 6.9)"};
  return {Cause::kSecurityModule,
          evidence.seccomp ? "a seccomp filter is in force and may forbid bpf(2)" : "a security module refused bpf(2)"};
}

Explanation explain_ebadf(const Evidence& evidence) {
  if (evidence.target_is_cgroup2) return {Cause::kOther, "the cgroup's or the program's descriptor is stale"};
  return {Cause::kNotCgroup2, fmt::format("'{}' is not in a cgroup v2 hierarchy; {}", evidence.cgroup_path,
                                          evidence.cgroup2_mount.empty() ? std::string("none is mounted on this host")
                                                                         : fmt::format("one is mounted at '{}'", evidence.cgroup2_mount))};
}

std::string last_lines(std::string_view log, int count) {
  while (log.ends_with('\n')) log.remove_suffix(1);
  size_t at = log.size();
  while (count-- > 0 && at != std::string_view::npos && at > 0) at = log.rfind('\n', at - 1);
  std::string out(at == std::string_view::npos || at == 0 ? log : log.substr(at + 1));
  for (char& c : out)
    if (c == '\n') c = ';';
  return out;
}

}  // namespace

Explanation explain_attach(int err, model::Hook hook, const Evidence& evidence) {
  switch (err) {
    case EBADF: return explain_ebadf(evidence);
    case ENOENT: return {Cause::kCgroupGone, "the pod's cgroup was removed meanwhile"};
    case EPERM:
    case EACCES: return explain_eperm(evidence);
    case EINVAL:
      // Without the capability some kernels answer EINVAL where they mean EPERM.
      if (!evidence.has_net_admin) return explain_eperm(evidence);
      return {Cause::kNotSupported,
              fmt::format("this kernel does not know hook '{}' as a cgroup link (needs 5.7)", model::to_string(hook))};
    case E2BIG: return {Cause::kTooManyPrograms, "64 programs of this hook are on the cgroup already: some agent leaks them"};
    case EMFILE:
    case ENFILE: return {Cause::kTooManyFiles, "out of file descriptors: raise LimitNOFILE"};
    case ENOSYS:
    case EOPNOTSUPP: return {Cause::kNotSupported, "the kernel was built without cgroup BPF (CONFIG_CGROUP_BPF)"};
    default: return {Cause::kOther, "no known cause"};
  }
}

std::string explain_load(int err, std::string_view verifier_log) {
  std::string text = std::generic_category().message(err);
  switch (err) {
    case EPERM:
      text +=
          "; the agent needs CAP_BPF and CAP_NET_ADMIN, for tracing also CAP_PERFMON, in the initial user namespace (before 5.11: "
          "RLIMIT_MEMLOCK too)";
      break;
    case EINVAL:
    case EACCES: text += "; the verifier refused, or this kernel is older than 5.9"; break;
    case ENOSYS: text += "; the kernel was built without bpf(2), or seccomp hides it"; break;
    case ENOMEM: text += "; the agent's memory limit leaves no room for maps"; break;
    case ESRCH:
    case ENOENT: text += "; the kernel has no BTF or not the field asked for"; break;
    default: break;
  }
  if (const std::string lines = last_lines(verifier_log, 3); !lines.empty()) text += fmt::format("; verifier: {}", lines);
  return text;
}

}  // namespace pintle::bpf
