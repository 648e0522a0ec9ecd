// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/process_causes.h"

#include <fmt/format.h>

namespace pintle::bpf {

Explanation lacks(std::string_view capability) {
  return {Cause::kMissingCapability,
          fmt::format("the agent lacks {}: give it back (systemd: CapabilityBoundingSet=, Kubernetes: capabilities.add)", capability)};
}

Explanation explain_forbidden(const Process& process) {
  if (!process.initial_user_namespace)
    return {
        Cause::kUserNamespace,
        "the agent runs in a user namespace, whose capabilities don't count: run it in the host's, or give it a BPF token (kernel 6.9)"};
  if (process.seccomp) return {Cause::kSeccomp, "a seccomp filter is in force and may forbid bpf(2)"};
  if (!process.security_module.empty())
    return {Cause::kSecurityModule,
            fmt::format("a security module refused bpf(2); the agent is confined as '{}'", process.security_module)};
  return {Cause::kSecurityModule, "a security module refused bpf(2)"};
}

std::string_view to_string(Cause cause) {
  switch (cause) {
    case Cause::kOther: return "unknown";
    case Cause::kMissingCapability: return "missing capability";
    case Cause::kUserNamespace: return "user namespace";
    case Cause::kSeccomp: return "seccomp";
    case Cause::kSecurityModule: return "security module";
    case Cause::kLockdown: return "lockdown";
    case Cause::kMemlock: return "memlock limit";
    case Cause::kTooManyFiles: return "out of file descriptors";
    case Cause::kNoSuchCgroup: return "no such cgroup";
    case Cause::kNotCgroup2: return "not cgroup v2";
    case Cause::kCgroupGone: return "cgroup removed";
    case Cause::kForeignExclusive: return "exclusive foreign program";
    case Cause::kForeignOverridable: return "overridable foreign program";
    case Cause::kTooManyPrograms: return "too many programs";
    case Cause::kAttachedTwice: return "attached already";
    case Cause::kNotSupported: return "not supported";
    case Cause::kUnknownHook: return "unknown hook";
    case Cause::kUnknownFlags: return "unknown flags";
    case Cause::kAttachTypeMismatch: return "attach type mismatch";
    case Cause::kNoSuchNeighbour: return "no such neighbour";
    case Cause::kNotAProgram: return "not a program";
    case Cause::kListChanged: return "list changed";
    case Cause::kLinkDead: return "link dead";
    case Cause::kProgramSwapped: return "program swapped";
    case Cause::kNoOrder: return "no iteration order";
    case Cause::kTrampoline: return "no trampolines";
    case Cause::kVerifier: return "verifier";
    case Cause::kStaleMap: return "stale map";
    case Cause::kLogTooSmall: return "log buffer too small";
    case Cause::kTooLarge: return "program too large";
    case Cause::kNoKernelBtf: return "no kernel BTF";
    case Cause::kNoTracefs: return "no tracefs";
    case Cause::kNoTracepoint: return "no such tracepoint";
    case Cause::kRingSize: return "ring size";
    case Cause::kNoPrealloc: return "LPM without NO_PREALLOC";
    case Cause::kMapShape: return "map shape";
    case Cause::kUnknownMapType: return "unknown map type";
    case Cause::kMapTooLarge: return "map too large";
    case Cause::kMemoryLimit: return "memory limit";
    case Cause::kMapFull: return "map full";
    case Cause::kOutOfRange: return "index out of range";
    case Cause::kReadOnlyMap: return "read-only map";
    case Cause::kKeyExists: return "key exists";
    case Cause::kNoKey: return "no such key";
    case Cause::kNameWithDot: return "dot in the pin's name";
    case Cause::kNameTooLong: return "name too long";
    case Cause::kNotBpffs: return "not a bpffs";
    case Cause::kPinExists: return "pin exists";
    case Cause::kNoParent: return "folder missing";
    case Cause::kNoPin: return "no such pin";
    case Cause::kReadOnlyMount: return "read-only mount";
    case Cause::kNoAccess: return "no access";
    case Cause::kNotAnObject: return "not a BPF object";
  }
  return "";
}

}  // namespace pintle::bpf
