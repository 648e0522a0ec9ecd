// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The half of errno_causes.h about loading: programs, maps, pins.
#include <bit>
#include <cerrno>
#include <system_error>

#include <linux/bpf.h>

#include <fmt/format.h>

#include "bpf/process_causes.h"

namespace pintle::bpf {
namespace {

constexpr uint64_t kMostInstructions = 1000000;

Explanation explain_verifier(const VerifierComplaint& said) {
  const Cause cause = said.rule == VerifierRule::kStaleMap ? Cause::kStaleMap : Cause::kVerifier;
  std::string text = "the verifier refused";
  if (!said.text.empty()) text += fmt::format(" ({})", said.text);
  return {cause, fmt::format("{}; verifier: {}", text, said.lines)};
}

// EPERM of PROG_LOAD with nothing said: rights, not the program.
Explanation explain_load_eperm(const LoadEvidence& evidence) {
  const auto& process = evidence.process;
  if (!process.has_bpf) return lacks("CAP_BPF");
  if (evidence.needs_net_admin && !process.has_net_admin) return lacks("CAP_NET_ADMIN");
  if (evidence.needs_perfmon && !process.has_perfmon) return lacks("CAP_PERFMON");
  if (!process.initial_user_namespace) return explain_forbidden(process);
  if (process.charges_memlock) return {Cause::kMemlock, "before kernel 5.11 programs count against RLIMIT_MEMLOCK: raise LimitMEMLOCK"};
  if (evidence.needs_perfmon && process.lockdown == "confidentiality")
    return {Cause::kLockdown, "kernel lockdown is 'confidentiality': tracing programs are refused, even to root"};
  if (evidence.needs_trampoline && evidence.tp_btf_loads)
    return {Cause::kTrampoline,
            fmt::format("this kernel refuses whatever needs a BPF trampoline (fentry, LSM), though tp_btf loads; lockdown is '{}', which "
                        "need not be why",
                        process.lockdown.empty() ? "unknown" : process.lockdown)};
  return explain_forbidden(process);
}

Explanation explain_map_einval(const MapEvidence& evidence) {
  if (!evidence.type_known) return {Cause::kUnknownMapType, fmt::format("this kernel does not know maps of type '{}'", evidence.type_name)};
  if (evidence.type == BPF_MAP_TYPE_RINGBUF) {
    if (!std::has_single_bit(evidence.max_entries) || evidence.max_entries % evidence.page_bytes != 0)
      return {Cause::kRingSize, fmt::format("a ring's size must be a power of two and whole pages of {} bytes, {} is not",
                                            evidence.page_bytes, evidence.max_entries)};
    return {Cause::kMapShape, "a ring has neither keys nor values"};
  }
  if (evidence.type == BPF_MAP_TYPE_LPM_TRIE && (evidence.flags & BPF_F_NO_PREALLOC) == 0)
    return {Cause::kNoPrealloc, "a prefix tree must be made with BPF_F_NO_PREALLOC"};
  return {Cause::kMapShape,
          fmt::format("a map of type '{}' can't have keys of {} bytes, values of {} bytes, {} entries and flags {:#x}", evidence.type_name,
                      evidence.key_bytes, evidence.value_bytes, evidence.max_entries, evidence.flags)};
}

Explanation explain_files(int err, const Process& process) {
  if (err == EMFILE || err == ENFILE)
    return {Cause::kTooManyFiles, fmt::format("out of file descriptors (limit {}): raise LimitNOFILE", process.open_files_limit)};
  if (err == ENOMEM) return {Cause::kMemoryLimit, "the agent's memory limit, or the host, leaves no room for maps"};
  if (err == ENOSYS) return {Cause::kNotSupported, "the kernel was built without bpf(2), or seccomp hides it"};
  return {Cause::kOther, "no known cause"};
}

}  // namespace

Explanation explain_program_load(int err, std::string_view verifier_log, const LoadEvidence& evidence) {
  const auto said = read_verifier_log(verifier_log);
  // A log cut short is not a verdict: the program may be good.
  if (err == ENOSPC)
    return {
        Cause::kLogTooSmall,
        fmt::format("the buffer of {} bytes for the verifier's log is too small{}: load without, or with a larger one", evidence.log_bytes,
                    evidence.log_needed > 0 ? fmt::format(" ({} are needed)", evidence.log_needed) : std::string())};
  if (err == E2BIG)
    return {Cause::kTooLarge, said.rule != VerifierRule::kNone ? explain_verifier(said).text
                                                               : fmt::format("{} instructions are more than the {} that the kernel takes",
                                                                             evidence.instructions, kMostInstructions)};
  if (said.rule != VerifierRule::kNone) return explain_verifier(said);
  switch (err) {
    case EPERM: return explain_load_eperm(evidence);
    case EBADF: return {Cause::kStaleMap, "a map's descriptor in the program is no map: it was closed or given over"};
    case EACCES:
    case EINVAL: return {Cause::kNotSupported, "this kernel does not know the program's type, attach type or flags"};
    case ESRCH:
    case ENOENT: return {Cause::kNoKernelBtf, "the kernel has no BTF, or not the field or function asked for"};
    default: return explain_files(err, evidence.process);
  }
}

std::string explain_load(int err, std::string_view verifier_log) {
  std::string text = std::generic_category().message(err);
  const auto said = read_verifier_log(verifier_log);
  if (said.rule != VerifierRule::kNone) return fmt::format("{}; {}", text, explain_verifier(said).text);
  switch (err) {
    case EPERM:
      return text +
             "; the agent needs CAP_BPF and CAP_NET_ADMIN, for tracing also CAP_PERFMON, in the initial user namespace (before 5.11: "
             "RLIMIT_MEMLOCK too)";
    case EINVAL:
    case EACCES: return text + "; the verifier refused, or this kernel is older than 5.9";
    default: break;
  }
  const auto why = explain_program_load(err, {}, {});
  if (why.cause != Cause::kOther) text += "; " + why.text;
  return text;
}

Explanation explain_map_create(int err, const MapEvidence& evidence) {
  switch (err) {
    case EPERM:
      if (!evidence.process.has_bpf) return lacks("CAP_BPF");
      if (!evidence.process.initial_user_namespace) return explain_forbidden(evidence.process);
      if (evidence.process.charges_memlock)
        return {Cause::kMemlock, "before kernel 5.11 maps count against RLIMIT_MEMLOCK: raise LimitMEMLOCK"};
      return explain_forbidden(evidence.process);
    case EINVAL: return explain_map_einval(evidence);
    case E2BIG:
      return {Cause::kMapTooLarge, fmt::format("{} entries of {} and {} bytes are more than a map of type '{}' can hold",
                                               evidence.max_entries, evidence.key_bytes, evidence.value_bytes, evidence.type_name)};
    default: return explain_files(err, evidence.process);
  }
}

Explanation explain_map_update(int err, const MapUse& use) {
  switch (err) {
    case E2BIG:
      if (use.is_array)
        return {Cause::kOutOfRange, fmt::format("'{}' has {} entries, and the index is beyond them", use.name, use.max_entries)};
      return {Cause::kMapFull, fmt::format("'{}' is full: {}/{} entries", use.name, use.entries, use.max_entries)};
    case ENOSPC: return {Cause::kMapFull, fmt::format("'{}' is full: {}/{} entries", use.name, use.entries, use.max_entries)};
    case EPERM:
      if (use.read_only) return {Cause::kReadOnlyMap, fmt::format("'{}' is frozen, or open for reading only", use.name)};
      return explain_forbidden(use.process);
    case EEXIST: return {Cause::kKeyExists, fmt::format("'{}' has the key already", use.name)};
    case ENOENT: return {Cause::kNoKey, fmt::format("'{}' has no such key", use.name)};
    default: return explain_files(err, use.process);
  }
}

Explanation explain_pin(int err, const PinEvidence& evidence) {
  const std::string name = evidence.path.substr(evidence.path.rfind('/') + 1);
  switch (err) {
    case EPERM:
      if (!evidence.on_bpffs)
        return {Cause::kNotBpffs, fmt::format("'{}' is not in a bpffs: mount -t bpf bpf {}", evidence.parent, evidence.parent)};
      if (name.find('.') != std::string::npos)
        return {Cause::kNameWithDot, fmt::format("a bpffs takes no names with a dot, as '{}'", name)};
      return explain_forbidden(evidence.process);
    case EEXIST: return {Cause::kPinExists, fmt::format("something is pinned at '{}' already: adopt it or remove it", evidence.path)};
    case ENOENT:
      if (!evidence.parent_exists) return {Cause::kNoParent, fmt::format("the folder '{}' is missing", evidence.parent)};
      return {Cause::kNoPin, fmt::format("nothing is pinned at '{}'", evidence.path)};
    case ENOTDIR: return {Cause::kNoParent, fmt::format("'{}' is not a folder", evidence.parent)};
    case EROFS: return {Cause::kReadOnlyMount, fmt::format("the bpffs of '{}' is mounted read-only", evidence.parent)};
    case EACCES:
      if (!evidence.on_bpffs) return {Cause::kNotBpffs, fmt::format("'{}' is a plain file, not a pin", evidence.path)};
      return {Cause::kNoAccess, fmt::format("'{}' is not ours ({})", evidence.exists ? evidence.path : evidence.parent, evidence.owner)};
    case ENAMETOOLONG: return {Cause::kNameTooLong, "the pin's name is longer than 255 characters"};
    case EINVAL:
    case EBADF: return {Cause::kNotAnObject, "the descriptor is not a program, map or link"};
    default: return explain_files(err, evidence.process);
  }
}

}  // namespace pintle::bpf
