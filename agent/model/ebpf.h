// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The eBPF side of a pod as values: which hooks it wants, what became of each, and what they count.
#pragma once

#include <cstdint>
#include <iterator>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/time.h"

namespace pintle::model {

// cgroup hooks, in the order in which they are attached. Which of them a pod gets is its ProgramPlan's to say.
enum class Hook { kIngress, kEgress, kConnect4, kConnect6, kSendmsg4, kSendmsg6, kBind4, kBind6, kSockOps, kDevice, kSysctl, kSetsockopt };
inline constexpr Hook kAllHooks[] = {Hook::kIngress, Hook::kEgress, Hook::kConnect4, Hook::kConnect6, Hook::kSendmsg4, Hook::kSendmsg6,
                                     Hook::kBind4,   Hook::kBind6,  Hook::kSockOps,  Hook::kDevice,   Hook::kSysctl,   Hook::kSetsockopt};
inline constexpr size_t kHookCount = std::size(kAllHooks);
// Accounting and connect tracing: what a pod gets when nothing else is asked for.
inline constexpr Hook kDefaultHooks[] = {Hook::kIngress, Hook::kEgress, Hook::kConnect4, Hook::kConnect6};
[[nodiscard]] std::string_view to_string(Hook hook);  // "ingress", "connect4": also the pin's file name
[[nodiscard]] std::optional<Hook> parse_hook(std::string_view text);

// Whether a pod may run without its programs. Node default in the configuration; per pod by annotation.
enum class EbpfPolicy { kRequired, kBestEffort, kOff };
inline constexpr std::string_view kEbpfPolicyAnnotation = "pintle.dev/ebpf";  // required | best-effort | off
[[nodiscard]] std::string_view to_string(EbpfPolicy policy);
[[nodiscard]] std::optional<EbpfPolicy> parse_ebpf_policy(std::string_view text);

// What a pod's programs are told to do beside counting. Node default in the configuration; per pod by annotation.
enum class Trace { kConnect, kSendmsg, kBind, kAccept, kTcp };
[[nodiscard]] std::string_view to_string(Trace trace);  // "connect", "tcp"
[[nodiscard]] std::optional<Trace> parse_trace(std::string_view text);

// A device the pod may not use, whatever its runtime allows it (programs of a cgroup are ANDed).
struct DeviceRule {
  char type = 'a';                       // 'c', 'b', or 'a' for both
  std::optional<uint32_t> major, minor;  // none: all
  bool read = false, write = false, mknod = false;
  bool operator==(const DeviceRule&) const = default;
};
struct SockoptRule {
  int level = 0, name = 0;
  bool operator==(const SockoptRule&) const = default;
};
enum class Enforcement { kOff, kAudit, kEnforce };
[[nodiscard]] std::string_view to_string(Enforcement enforcement);  // "off", "audit", "enforce"

// A hook of a cgroup that a program of an operator may take (docs/programs.md): Pintle's names where Pintle has the same one.
enum class ProgramHook {
  kIngress,
  kEgress,
  kSockCreate,
  kSockRelease,
  kSockOps,
  kDevice,
  kBind4,
  kBind6,
  kPostBind4,
  kPostBind6,
  kConnect4,
  kConnect6,
  kSendmsg4,
  kSendmsg6,
  kRecvmsg4,
  kRecvmsg6,
  kGetpeername4,
  kGetpeername6,
  kGetsockname4,
  kGetsockname6,
  kSysctl,
  kGetsockopt,
  kSetsockopt
};
inline constexpr size_t kProgramHookCount = 23;
[[nodiscard]] std::string_view to_string(ProgramHook hook);
[[nodiscard]] std::optional<ProgramHook> parse_program_hook(std::string_view text);
[[nodiscard]] std::string program_hook_names();  // "ingress, egress, …": for errors

enum class ProgramOrder { kAny, kBefore, kAfter };             // of Pintle's own program on the same hook of the pod's cgroup
[[nodiscard]] std::string_view to_string(ProgramOrder order);  // "any", "before", "after"

// An operator's program as one pod's plan names it. What is loaded under the name is ports::PodProgramLoader's to know.
struct PlannedProgram {
  std::string name;
  ProgramHook hook = ProgramHook::kIngress;
  ProgramOrder order = ProgramOrder::kAny;
  bool required = false;    // a new pod does not start without it
  uint32_t program_id = 0;  // that is loaded; 0: none, because of `error`. What an earlier one left attached stays then.
  std::string error;
  bool operator==(const PlannedProgram&) const = default;
};

// What one pod's programs are and do: the answer of ports::ProgramPlanner, carried out by ports::ProgramAttacher. A pod runs under
// its plan from before its first instruction; a changed plan is put in force without a moment under none.
struct ProgramPlan {
  std::vector<Hook> hooks;  // in kAllHooks' order
  std::vector<Trace> traces;
  // Rows of ports::PolicyTables that decide where the pod may talk; 0: none. A direction that is not isolated is not looked up.
  uint32_t network_policy = 0;
  bool isolate_ingress = false, isolate_egress = false;
  Enforcement network = Enforcement::kOff;
  std::vector<DeviceRule> denied_devices;
  Enforcement sysctl_writes = Enforcement::kOff;  // kEnforce: every write of a sysctl is refused
  std::vector<SockoptRule> denied_sockopts;
  std::vector<PlannedProgram> programs;  // of operators; by name
  // False: not every source of them has told yet. Those that are attached and not named here stay.
  bool all_programs_known = true;
  bool operator==(const ProgramPlan&) const = default;
};
// Accounting and connect tracing.
[[nodiscard]] ProgramPlan default_program_plan();

enum class HookState {
  kAttached,
  kAdopted,     // found pinned from an earlier run, and alive
  kDead,        // was attached; its cgroup went away, or its pin
  kOverridden,  // attached, but a foreign program keeps it from deciding
  kRefused,
  kOff
};
[[nodiscard]] std::string_view to_string(HookState state);

// A program of somebody else on the same hook of this cgroup or one above it.
struct ForeignProgram {
  uint32_t id = 0;
  std::string name;  // empty when only CAP_SYS_ADMIN may ask for it
  std::string tag;
  uint32_t uid = 0;  // who loaded it
  Time loaded_at;
  std::string cgroup;
  bool exclusive = false;    // attached with flags 0: forbids ours below it
  bool overridable = false;  // attached with ALLOW_OVERRIDE
  bool runs_after = false;   // ours: what ours denies it may allow again (bpf_set_retval), which nobody can prove from outside
  bool in_force = true;      // false: switched off for this cgroup, as an overridable one is by any program below it
  bool operator==(const ForeignProgram&) const = default;
};

struct HookStatus {
  Hook hook = Hook::kIngress;
  HookState state = HookState::kOff;
  LinkId link_id;
  std::string program_tag;  // 16 hex digits
  uint32_t program_id = 0;
  std::string program_set;  // whose program the link runs; empty: of none that is known
  int sys_errno = 0;        // of the last refused attach
  std::string error;        // names hook, cgroup, errno and likely cause; empty when all is well
  // Only from inspect(): ours is the n-th of m programs that the kernel runs for this cgroup; 0: not asked for.
  int position = 0, effective_count = 0;
  std::vector<ForeignProgram> neighbours;
  // How often it ran, and refused; nullopt: nobody counts that. `counted_together`: with hooks of the same kind, whose row has the same
  // sum.
  std::optional<uint64_t> hits = std::nullopt, drops = std::nullopt;
  bool counted_together = false;
  bool operator==(const HookStatus&) const = default;
};

// The same of an operator's program.
struct PodProgramStatus {
  std::string name;
  ProgramHook hook = ProgramHook::kIngress;
  ProgramOrder order = ProgramOrder::kAny;
  bool required = false;
  HookState state = HookState::kOff;
  LinkId link_id;
  std::string program_tag;
  uint32_t program_id = 0;
  int sys_errno = 0;
  std::string error;  // why it is not in force, or not in its newest version
  std::string note;   // what else is not as asked for: an order that is not to be had
  int position = 0, effective_count = 0;
  std::vector<ForeignProgram> neighbours;
  bool operator==(const PodProgramStatus&) const = default;
};
[[nodiscard]] constexpr bool in_force(HookState state) { return state == HookState::kAttached || state == HookState::kAdopted; }

struct TrafficCounters {
  uint64_t rx_bytes = 0, rx_packets = 0, tx_bytes = 0, tx_packets = 0;
  bool operator==(const TrafficCounters&) const = default;
};

// The pod's slot of counters at one moment. rx and tx below are sums over the protocols.
struct PodCounters {
  uint64_t rx_bytes = 0, rx_packets = 0, tx_bytes = 0, tx_packets = 0;
  TrafficCounters tcp, udp, other;
  uint64_t rx_drops = 0, tx_drops = 0;  // packets that policy dropped
  uint64_t connects = 0, sendmsgs = 0, binds = 0, accepts = 0;
  uint64_t denied = 0;      // connect, sendmsg and bind calls that policy refused
  uint64_t would_deny = 0;  // calls and packets that audit let through
  uint64_t device_denied = 0, sysctl_denied = 0, sockopt_denied = 0;
  uint64_t tcp_retransmits = 0, tcp_rtt_samples = 0, tcp_rtt_sum_us = 0;
  uint64_t execs = 0, exits = 0, ooms = 0;
  uint64_t events_sent = 0;  // records that reached a ring, and …
  uint64_t events_lost = 0;  // … reservations that failed, for this pod: exact
  bool operator==(const PodCounters&) const = default;
};

struct AttachReport {
  PodUid uid;
  CgroupId cgroup_id;
  std::string cgroup_path;
  std::vector<HookStatus> hooks;
  std::vector<PodProgramStatus> programs = {};  // of operators; by name
  // What the pod lacks though every hook is in force: what it does that nobody hears of, and why. Each a sentence's worth.
  std::vector<std::string> notes = {};
  bool operator==(const AttachReport&) const = default;
  [[nodiscard]] bool hooks_effective() const {
    for (const auto& hook : hooks)
      if (!in_force(hook.state)) return false;
    return true;
  }
  [[nodiscard]] bool required_effective() const {
    for (const auto& program : programs)
      if (program.required && !in_force(program.state)) return false;
    return true;
  }
  [[nodiscard]] bool effective() const {
    for (const auto& program : programs)
      if (!in_force(program.state)) return false;
    return hooks_effective();
  }
};

// The programs that are in force on this node's pods, and what became of the last try to put others in their place.
inline constexpr std::string_view kBuiltinSet = "builtin";                      // the one that is compiled in
inline constexpr std::string_view kProgramSetLabel = "pintle.dev/program-set";  // of the node
// What of a switch could not be put in order: a folder of pins, a pod's link. Tried again at each look.
struct ProgramSetLeftover {
  int sys_errno = 0;
  std::string error;
  bool operator==(const ProgramSetLeftover&) const = default;
};
struct ProgramSetStatus {
  enum class Attempt {
    kNone,        // the set in force is the one wanted
    kRefused,     // the one wanted was not put on any pod: no such file, another ABI or type, the verifier, its check failed
    kRolledBack,  // its check failed once pods had it, and every link went back
  };
  std::string name, version;  // in force; empty: there is no eBPF
  Time since;                 // of this run
  Attempt attempt = Attempt::kNone;
  std::string wanted, wanted_version, error;  // of the attempt that failed
  uint64_t switched = 0, rolled_back = 0;     // how often in this run
  std::vector<ProgramSetLeftover> leftovers;  // empty: all is in order
  bool operator==(const ProgramSetStatus&) const = default;
};
[[nodiscard]] std::string_view to_string(ProgramSetStatus::Attempt attempt);  // "in force", "refused", "rolled back"
// kInvalid, with the rule: what names a folder of sets and fits a label's value.
[[nodiscard]] Status check_set_name(std::string_view name);

enum class ProgramEventKind { kConnect, kSendmsg, kBind, kAccept, kPacket, kTcp, kDevice, kSysctl, kSockopt, kExec, kExit, kOom };
[[nodiscard]] std::string_view to_string(ProgramEventKind kind);
enum class Verdict { kAllowed, kDenied, kWouldDeny };
[[nodiscard]] std::string_view to_string(Verdict verdict);  // "allowed", "denied", "would-deny"
struct ProgramEvent {
  ProgramEventKind kind = ProgramEventKind::kExec;
  PodUid uid;  // empty: not (or no longer) a pod of ours
  CgroupId cgroup_id;
  Time time;              // kernel time (CLOCK_BOOTTIME), converted to wall time
  uint64_t sequence = 0;  // of this pod and ring, without gaps where nothing was lost
  uint32_t pid = 0;       // thread group id
  std::string comm;
  Verdict verdict = Verdict::kAllowed;
  int32_t exit_code = 0;    // kExit: wait status as in waitpid(2)
  std::string destination;  // the other end (kBind: the own one): "10.0.0.1:80/tcp", "[::1]:53/udp"; kDevice: "c 10:229 rw"
  std::string detail;       // kOom: the victim; kTcp: "retransmit"; kSockopt: "1:36"
};

// One probed capability of this kernel and why it is missing, for `doctor` and `ebpf status`.
struct FeatureProbe {
  std::string name;  // "cgroup links", "ring buffer", "tracepoint programs"
  bool available = false;
  std::string detail;     // errno and likely cause when missing
  std::string without;    // what Pintle does without it
  bool optional = false;  // a rung of newer kernels: all hooks of a pod are in force without it
};

}  // namespace pintle::model
