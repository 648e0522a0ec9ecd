// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What people may ask of a pod's programs: node defaults (configuration, pintle.ebpf.*) and a pod's annotations over them, in one
// spelling. Strict: what can't be read is kInvalid, with the annotation, its value and what is allowed; nothing is guessed.
// Plain values, pure functions.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "model/ebpf.h"
#include "model/meta.h"

namespace pintle::model {

inline constexpr std::string_view kTraceAnnotation = "pintle.dev/ebpf-trace";                             // "connect,bind,tcp"; "" for none
inline constexpr std::string_view kNetworkPolicyAnnotation = "pintle.dev/network-policy";                 // enforce | audit | off
inline constexpr std::string_view kNetworkPolicyFailureAnnotation = "pintle.dev/network-policy-failure";  // closed | open
inline constexpr std::string_view kDenyDevicesAnnotation = "pintle.dev/deny-devices";                     // "c 10:229 rw, b *:* rwm"
inline constexpr std::string_view kSysctlWritesAnnotation = "pintle.dev/sysctl-writes";                   // allow | audit | deny
inline constexpr std::string_view kDenySockoptsAnnotation = "pintle.dev/deny-sockopts";                   // "1:36, SOL_SOCKET:SO_MARK"

// What becomes of a new pod while the policies that may select it are not known.
enum class PolicyFailure { kClosed, kOpen };  // it is held; it starts without
[[nodiscard]] std::string_view to_string(PolicyFailure failure);

struct ProgramSettings {
  std::vector<Trace> traces = {Trace::kConnect};
  Enforcement network_policy = Enforcement::kEnforce;
  PolicyFailure network_policy_failure = PolicyFailure::kClosed;
  std::vector<DeviceRule> denied_devices;
  Enforcement sysctl_writes = Enforcement::kOff;
  std::vector<SockoptRule> denied_sockopts;
  bool operator==(const ProgramSettings&) const = default;
};

// One item or word each. kInvalid: "'x' is not …", with what is allowed.
[[nodiscard]] Result<Trace> read_trace(std::string_view text);
[[nodiscard]] Result<Enforcement> read_network_policy(std::string_view text);
[[nodiscard]] Result<PolicyFailure> read_policy_failure(std::string_view text);
[[nodiscard]] Result<Enforcement> read_sysctl_writes(std::string_view text);
[[nodiscard]] Result<DeviceRule> read_device_rule(std::string_view text);    // "c 10:229 rw"
[[nodiscard]] Result<SockoptRule> read_sockopt_rule(std::string_view text);  // "1:36", "SOL_SOCKET:SO_MARK"
[[nodiscard]] std::string to_string(const DeviceRule& rule);
[[nodiscard]] std::string to_string(const SockoptRule& rule);
[[nodiscard]] std::string_view sysctl_writes_name(Enforcement value);  // "allow", "audit", "deny"

// The defaults with a pod's annotations over them. Every list is sorted and without repetitions. kInvalid also for a name below pintle.dev/
// that is none of ours.
[[nodiscard]] Result<ProgramSettings> settings_for(const StringMap& annotations, const ProgramSettings& defaults);
// The plan of a pod that no network policy isolates.
[[nodiscard]] ProgramPlan plan_from(const ProgramSettings& settings);
// The hooks that the rest of a plan needs, beside the default ones; in order.
[[nodiscard]] std::vector<Hook> hooks_for(const ProgramPlan& plan);

}  // namespace pintle::model
