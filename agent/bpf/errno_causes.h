// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// From errno and evidence to a cause and words (facts/ebpf 4.6 and 3g): one pure function per call of bpf(2), so that every row is a
// table test. Evidence is gathered by evidence.h, only after something failed. The order of the checks matters: EPERM alone has nine
// causes, and what is certain is told before what is likely. Texts do not repeat the errno's own.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bpf/verifier_rules.h"
#include "model/ebpf.h"

namespace pintle::bpf {

enum class Cause {
  kOther,
  // who we are
  kMissingCapability,
  kUserNamespace,
  kSeccomp,
  kSecurityModule,
  kLockdown,
  kMemlock,
  kTooManyFiles,
  // the cgroup and what sits there
  kNoSuchCgroup,
  kNotCgroup2,
  kCgroupGone,
  kForeignExclusive,
  kForeignOverridable,
  kTooManyPrograms,
  kAttachedTwice,
  // what was asked for
  kNotSupported,
  kUnknownHook,
  kUnknownFlags,
  kAttachTypeMismatch,
  kNoSuchNeighbour,
  kNotAProgram,
  kListChanged,
  kLinkDead,
  kProgramSwapped,
  kNoOrder,
  // programs
  kTrampoline,
  kVerifier,
  kStaleMap,
  kLogTooSmall,
  kTooLarge,
  kNoKernelBtf,
  kNoTracefs,
  kNoTracepoint,
  // maps
  kRingSize,
  kNoPrealloc,
  kMapShape,
  kUnknownMapType,
  kMapTooLarge,
  kMemoryLimit,
  kMapFull,
  kOutOfRange,
  kReadOnlyMap,
  kKeyExists,
  kNoKey,
  // pins
  kNameWithDot,
  kNameTooLong,
  kNotBpffs,
  kPinExists,
  kNoParent,
  kNoPin,
  kReadOnlyMount,
  kNoAccess,
  kNotAnObject,
};
[[nodiscard]] std::string_view to_string(Cause cause);  // "missing capability": for tests and JSON

struct Explanation {
  Cause cause = Cause::kOther;
  std::string text;  // without the errno's own text
};

// What the asking process is and may, in its own user namespace.
struct Process {
  bool has_bpf = true, has_net_admin = true, has_perfmon = true,
       has_sys_admin = true;         // by itself, or by CAP_SYS_ADMIN where that stands in
  bool sys_admin_stands_in = false;  // for CAP_BPF or CAP_PERFMON
  bool initial_user_namespace = true;
  bool seccomp = false;
  std::string security_module;    // AppArmor's or SELinux's label of the process; empty: none or unconfined
  std::string lockdown = "none";  // "none", "integrity", "confidentiality"; empty: can't be read
  bool charges_memlock = false;   // before 5.11 maps counted against RLIMIT_MEMLOCK
  uint64_t open_files_limit = 0;
};

// Of open(2) on a pod's cgroup.
struct OpenEvidence {
  std::string path, parent;  // the nearest folder above that exists
  std::vector<std::string> siblings;
  Process process;
};
[[nodiscard]] Explanation explain_open(int err, const OpenEvidence& evidence);

// Of BPF_LINK_CREATE, BPF_PROG_ATTACH and BPF_PROG_QUERY on a cgroup.
struct Evidence {
  std::string cgroup_path;
  bool target_is_cgroup2 = true;
  std::string cgroup2_mount;  // where one is mounted; empty: nowhere
  bool target_removed = false;
  Process process;
  std::optional<model::ForeignProgram> foreign;  // that forbids ours
  bool hook_known = true;
  bool is_program = true;  // the program's descriptor is one
  uint32_t flags = 0;
  bool type_fits = true;  // the program's type and the attach type it was loaded for
  std::string wanted_type, given_type;
  bool attached_already = false;      // PROG_ATTACH of a program that is in the list
  bool neighbour_missing = false;     // BEFORE or AFTER a program that is not in the list
  std::vector<std::string> attached;  // names of the programs in the list
};
[[nodiscard]] Explanation explain_attach(int err, std::string_view hook, const Evidence& evidence);
[[nodiscard]] inline Explanation explain_attach(int err, model::Hook hook, const Evidence& evidence) {
  return explain_attach(err, model::to_string(hook), evidence);
}
[[nodiscard]] Explanation explain_prog_attach(int err, model::Hook hook, const Evidence& evidence);

// Of BPF_LINK_UPDATE.
struct UpdateEvidence {
  bool link_dead = false;
  bool replaces = false;           // BPF_F_REPLACE with the program that should be there
  uint32_t wanted = 0, found = 0;  // that program, and the one that is
  std::string link_type, program_type;
  Process process;
};
[[nodiscard]] Explanation explain_update(int err, const UpdateEvidence& evidence);

// Of BPF_PROG_LOAD.
struct LoadEvidence {
  Process process;
  bool needs_trampoline = false;  // fentry, fexit, fmod_ret, lsm
  bool tp_btf_loads = false;      // tracing as such is allowed
  bool needs_perfmon = false, needs_net_admin = false;
  uint64_t instructions = 0;
  uint64_t log_bytes = 0, log_needed = 0;
};
[[nodiscard]] Explanation explain_program_load(int err, std::string_view verifier_log, const LoadEvidence& evidence);
// errno text, cause, and the verifier's last lines if it said anything; of a whole object, when it is unknown which step failed.
[[nodiscard]] std::string explain_load(int err, std::string_view verifier_log);

// Of BPF_MAP_CREATE.
struct MapEvidence {
  uint32_t type = 0, key_bytes = 0, value_bytes = 0, max_entries = 0, flags = 0;
  std::string type_name;
  bool type_known = true;
  uint64_t page_bytes = 4096;
  Process process;
};
[[nodiscard]] Explanation explain_map_create(int err, const MapEvidence& evidence);

// Of BPF_MAP_UPDATE_ELEM and its batch.
struct MapUse {
  std::string name;
  bool is_array = false;
  bool read_only = false;  // frozen, or made so
  uint64_t entries = 0, max_entries = 0;
  Process process;
};
[[nodiscard]] Explanation explain_map_update(int err, const MapUse& use);

// Of BPF_OBJ_PIN and BPF_OBJ_GET.
struct PinEvidence {
  std::string path, parent;
  bool parent_exists = true, parent_is_folder = true, on_bpffs = true;
  bool exists = false, read_only_mount = false;
  std::string owner;  // "uid 0, mode 0700": of what refused
  Process process;
};
[[nodiscard]] Explanation explain_pin(int err, const PinEvidence& evidence);

// Of attaching a tracing program: classic tracepoints by perf, BTF ones, iterators.
struct TraceEvidence {
  bool classic = false, iterator = false;
  bool tracefs_mounted = true, tracepoint_exists = true;
  bool has_order = true;  // iterators over cgroups
  Process process;
};
[[nodiscard]] Explanation explain_trace_attach(int err, const TraceEvidence& evidence);

}  // namespace pintle::bpf
