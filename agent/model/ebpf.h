// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The eBPF side of a pod as values: which hooks it wants, what became of each, and what they count.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace pintle::model {

// cgroup hooks, in the order in which they are attached.
enum class Hook { kIngress, kEgress, kConnect4, kConnect6 };
inline constexpr Hook kAllHooks[] = {Hook::kIngress, Hook::kEgress, Hook::kConnect4, Hook::kConnect6};
[[nodiscard]] std::string_view to_string(Hook hook);  // "ingress", "connect4": also the pin's file name

// Whether a pod may run without its programs. Node default in the configuration; per pod by annotation.
enum class EbpfPolicy { kRequired, kBestEffort, kOff };
inline constexpr std::string_view kEbpfPolicyAnnotation = "pintle.dev/ebpf";  // required | best-effort | off
[[nodiscard]] std::string_view to_string(EbpfPolicy policy);
[[nodiscard]] std::optional<EbpfPolicy> parse_ebpf_policy(std::string_view text);

enum class HookState { kAttached, kAdopted, kDead, kRefused, kOff };
[[nodiscard]] std::string_view to_string(HookState state);

struct HookStatus {
  Hook hook = Hook::kIngress;
  HookState state = HookState::kOff;
  LinkId link_id;
  std::string program_tag;  // 16 hex digits
  uint32_t program_id = 0;
  int sys_errno = 0;  // of the last refused attach
  std::string error;  // names hook, cgroup, errno and likely cause; empty when all is well
  bool operator==(const HookStatus&) const = default;
};

// The pod's slot of counters at one moment.
struct PodCounters {
  uint64_t rx_bytes = 0, rx_packets = 0, tx_bytes = 0, tx_packets = 0;
  uint64_t connects = 0, execs = 0, exits = 0;
  uint64_t events_lost = 0;  // ring reservations that failed for this pod: exact
  bool operator==(const PodCounters&) const = default;
};

struct AttachReport {
  PodUid uid;
  CgroupId cgroup_id;
  std::string cgroup_path;
  std::vector<HookStatus> hooks;
  bool operator==(const AttachReport&) const = default;
  [[nodiscard]] bool effective() const {
    for (const auto& hook : hooks)
      if (hook.state != HookState::kAttached && hook.state != HookState::kAdopted) return false;
    return true;
  }
};

enum class ProgramEventKind { kConnect, kExec, kExit };
[[nodiscard]] std::string_view to_string(ProgramEventKind kind);
struct ProgramEvent {
  ProgramEventKind kind = ProgramEventKind::kExec;
  PodUid uid;  // empty: not (or no longer) a pod of ours
  CgroupId cgroup_id;
  Time time;         // kernel time (CLOCK_BOOTTIME), converted to wall time
  uint32_t pid = 0;  // thread group id
  std::string comm;
  int32_t exit_code = 0;    // kExit: wait status as in waitpid(2)
  std::string destination;  // kConnect: "10.0.0.1:80/tcp", "[::1]:53/udp"
};

// One probed capability of this kernel and why it is missing, for `doctor` and `ebpf status`.
struct FeatureProbe {
  std::string name;  // "cgroup links", "ring buffer", "tp_btf"
  bool available = false;
  std::string detail;   // errno and likely cause when missing
  std::string without;  // what Pintle does without it
};

}  // namespace pintle::model
