// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/errno_causes.h"

#include <algorithm>
#include <cerrno>
#include <map>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "bpf/process_causes.h"

namespace pintle::bpf {
namespace {

constexpr size_t kListed = 8;  // names told of a long list

std::string listed(const std::vector<std::string>& names) {
  std::vector<std::string> first(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(std::min(names.size(), kListed)));
  const std::string rest = names.size() > kListed ? fmt::format(" and {} more", names.size() - kListed) : "";
  return fmt::format("{}{}", fmt::join(first, ", "), rest);
}

Explanation explain_foreign(const model::ForeignProgram& other) {
  const std::string loaded = other.loaded_at == kNoTime ? "" : fmt::format(", loaded {}", format_rfc3339(other.loaded_at));
  const std::string who = fmt::format("program {} '{}' (uid {}) on '{}'{}", other.id, other.name, other.uid, other.cgroup, loaded);
  if (other.overridable)
    return {Cause::kForeignOverridable, who + " was attached with ALLOW_OVERRIDE: detach it, or attach it again with BPF_F_ALLOW_MULTI"};
  return {Cause::kForeignExclusive, who + " was attached as the only one allowed: detach it, or attach it again with BPF_F_ALLOW_MULTI"};
}

Explanation explain_eperm(const Evidence& evidence) {
  if (!evidence.process.has_net_admin) return lacks("CAP_NET_ADMIN");
  if (evidence.foreign) return explain_foreign(*evidence.foreign);
  return explain_forbidden(evidence.process);
}

Explanation explain_ebadf(const Evidence& evidence) {
  if (evidence.target_is_cgroup2) return {Cause::kOther, "the cgroup's or the program's descriptor is stale"};
  return {Cause::kNotCgroup2, fmt::format("'{}' is not in a cgroup v2 hierarchy; {}", evidence.cgroup_path,
                                          evidence.cgroup2_mount.empty() ? std::string("none is mounted on this host")
                                                                         : fmt::format("one is mounted at '{}'", evidence.cgroup2_mount))};
}

// Programs of one name that fill the list tell who leaks them.
Explanation explain_e2big(std::string_view hook, const Evidence& evidence) {
  std::map<std::string, size_t> counts;
  for (const auto& name : evidence.attached) ++counts[name];
  const auto most = std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; });
  const std::string who = most == counts.end() ? "" : fmt::format(", {} of them '{}'", most->second, most->first);
  return {Cause::kTooManyPrograms, fmt::format("64 programs of hook '{}' are on the cgroup already{}: some agent leaks them", hook, who)};
}

Explanation explain_einval(std::string_view hook, const Evidence& evidence) {
  if (!evidence.is_program) return {Cause::kNotAProgram, "the descriptor given for the program is not one"};
  if (!evidence.hook_known) return {Cause::kUnknownHook, fmt::format("this kernel does not know hook '{}' on cgroups", hook)};
  if (!evidence.type_fits)
    return {Cause::kAttachTypeMismatch,
            fmt::format("the program was loaded for '{}', not for '{}'", evidence.given_type, evidence.wanted_type)};
  if (evidence.neighbour_missing) return {Cause::kNoSuchNeighbour, "the program that ours shall run before or after is not on this cgroup"};
  if (evidence.flags != 0)
    return {Cause::kUnknownFlags,
            fmt::format("attach flags {:#x} are not allowed here: cgroup links take none but the order's (kernel 6.15 and 6.17)",
                        evidence.flags)};
  return {Cause::kNotSupported, fmt::format("this kernel does not take hook '{}' as a cgroup link (needs 5.7)", hook)};
}

Explanation explain_common(int err, const Process& process) {
  switch (err) {
    case EMFILE:
      return {
          Cause::kTooManyFiles,
          fmt::format("the agent is out of file descriptors (limit {}): raise LimitNOFILE; links are closed once pinned, so this is a leak",
                      process.open_files_limit)};
    case ENFILE: return {Cause::kTooManyFiles, "the host is out of file descriptors: raise fs.file-max; LimitNOFILE does not help"};
    case ENOMEM: return {Cause::kMemoryLimit, "the agent's memory limit, or the host, leaves no room"};
    case ENOSYS:
    case EOPNOTSUPP: return {Cause::kNotSupported, "the kernel was built without cgroup BPF (CONFIG_CGROUP_BPF)"};
    default: return {Cause::kOther, "no known cause"};
  }
}

}  // namespace

Explanation explain_open(int err, const OpenEvidence& evidence) {
  switch (err) {
    case ENOENT:
      return {Cause::kNoSuchCgroup, evidence.parent.empty()
                                        ? fmt::format("cgroup '{}' does not exist", evidence.path)
                                        : fmt::format("cgroup '{}' does not exist; '{}' has: {}", evidence.path, evidence.parent,
                                                      evidence.siblings.empty() ? std::string("nothing") : listed(evidence.siblings))};
    case ENOTDIR: return {Cause::kNotCgroup2, fmt::format("'{}' is not a cgroup's folder", evidence.path)};
    case ENODEV:
    case ENXIO: return {Cause::kCgroupGone, "the pod's cgroup was removed meanwhile"};
    case EACCES:
    case EPERM: return {Cause::kNoAccess, fmt::format("the agent may not open '{}'", evidence.path)};
    default: return explain_common(err, evidence.process);
  }
}

Explanation explain_attach(int err, std::string_view hook, const Evidence& evidence) {
  switch (err) {
    case EBADF: return explain_ebadf(evidence);
    case ENOENT:
      if (evidence.neighbour_missing && !evidence.target_removed) return explain_einval(hook, evidence);
      return {Cause::kCgroupGone, "the pod's cgroup was removed meanwhile"};
    case ENODEV:
    case ENXIO: return {Cause::kCgroupGone, "the pod's cgroup was removed meanwhile"};
    case EPERM:
    case EACCES: return explain_eperm(evidence);
    case EINVAL:
      // Without the capability some kernels answer EINVAL where they mean EPERM.
      return evidence.process.has_net_admin ? explain_einval(hook, evidence) : explain_eperm(evidence);
    case E2BIG: return explain_e2big(hook, evidence);
    case ESTALE:
      return {Cause::kListChanged, "somebody attached or detached meanwhile (the list's revision changed): ask again, then retry"};
    default: return explain_common(err, evidence.process);
  }
}

Explanation explain_prog_attach(int err, model::Hook hook, const Evidence& evidence) {
  if (err == EINVAL && evidence.process.has_net_admin && evidence.attached_already)
    return {Cause::kAttachedTwice, "this very program is on the cgroup already"};
  if (err == ENOENT && !evidence.target_removed && !evidence.neighbour_missing && evidence.target_is_cgroup2)
    return {Cause::kNoSuchNeighbour, "the program is not on this cgroup, or is held there by a link"};
  return explain_attach(err, hook, evidence);
}

Explanation explain_update(int err, const UpdateEvidence& evidence) {
  switch (err) {
    case ENOLINK: return {Cause::kLinkDead, "the link's cgroup is gone, or somebody detached it: attach anew"};
    case EPERM:
      if (evidence.replaces && evidence.wanted != evidence.found)
        return {Cause::kProgramSwapped, fmt::format("somebody put program {} in the place of ours ({}): whoever can open the pin can",
                                                    evidence.found, evidence.wanted)};
      return explain_forbidden(evidence.process);
    case EINVAL:
      if (evidence.link_type != evidence.program_type)
        return {Cause::kAttachTypeMismatch,
                fmt::format("the link holds a program of type '{}', not '{}'", evidence.link_type, evidence.program_type)};
      return {Cause::kNotAProgram, "one of the descriptors is not a link or not a program"};
    default: return explain_common(err, evidence.process);
  }
}

Explanation explain_trace_attach(int err, const TraceEvidence& evidence) {
  switch (err) {
    case ENOENT:
      if (evidence.classic && !evidence.tracefs_mounted)
        return {Cause::kNoTracefs, "tracefs is not mounted: mount it at /sys/kernel/tracing, or use a raw tracepoint, which needs none"};
      return {Cause::kNoTracepoint, "this kernel has no such tracepoint"};
    case EINVAL:
      if (evidence.iterator && !evidence.has_order) return {Cause::kNoOrder, "an iterator over cgroups must say in which order it walks"};
      return {Cause::kAttachTypeMismatch, "the program was not loaded for this kind of attachment"};
    case EPERM:
    case EACCES:
      if (!evidence.process.has_perfmon) return lacks("CAP_PERFMON");
      return explain_forbidden(evidence.process);
    default: return explain_common(err, evidence.process);
  }
}

}  // namespace pintle::bpf
