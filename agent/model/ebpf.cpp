// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "model/ebpf.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::model {
namespace {

constexpr std::string_view kProgramHookNames[] = {
    "ingress",      "egress",       "sock_create",  "sock_release", "sock_ops", "device",     "bind4",     "bind6",
    "post_bind4",   "post_bind6",   "connect4",     "connect6",     "sendmsg4", "sendmsg6",   "recvmsg4",  "recvmsg6",
    "getpeername4", "getpeername6", "getsockname4", "getsockname6", "sysctl",   "getsockopt", "setsockopt"};
static_assert(std::size(kProgramHookNames) == kProgramHookCount);

}  // namespace

std::string_view to_string(ProgramHook hook) { return kProgramHookNames[static_cast<size_t>(hook)]; }

std::optional<ProgramHook> parse_program_hook(std::string_view text) {
  for (size_t i = 0; i < kProgramHookCount; ++i)
    if (text == kProgramHookNames[i]) return static_cast<ProgramHook>(i);
  return std::nullopt;
}

std::string program_hook_names() {
  std::string names;
  for (const auto name : kProgramHookNames) names.append(names.empty() ? "" : ", ").append(name);
  return names;
}

std::string_view to_string(ProgramOrder order) {
  switch (order) {
    case ProgramOrder::kAny: return "any";
    case ProgramOrder::kBefore: return "before";
    case ProgramOrder::kAfter: return "after";
  }
  return "";
}

std::string_view to_string(Hook hook) {
  switch (hook) {
    case Hook::kIngress: return "ingress";
    case Hook::kEgress: return "egress";
    case Hook::kConnect4: return "connect4";
    case Hook::kConnect6: return "connect6";
    case Hook::kSendmsg4: return "sendmsg4";
    case Hook::kSendmsg6: return "sendmsg6";
    case Hook::kBind4: return "bind4";
    case Hook::kBind6: return "bind6";
    case Hook::kSockOps: return "sock_ops";
    case Hook::kDevice: return "device";
    case Hook::kSysctl: return "sysctl";
    case Hook::kSetsockopt: return "setsockopt";
  }
  return "";
}

std::optional<Hook> parse_hook(std::string_view text) {
  for (const auto hook : kAllHooks)
    if (text == to_string(hook)) return hook;
  return std::nullopt;
}

std::string_view to_string(Trace trace) {
  switch (trace) {
    case Trace::kConnect: return "connect";
    case Trace::kSendmsg: return "sendmsg";
    case Trace::kBind: return "bind";
    case Trace::kAccept: return "accept";
    case Trace::kTcp: return "tcp";
  }
  return "";
}

std::optional<Trace> parse_trace(std::string_view text) {
  for (const auto trace : {Trace::kConnect, Trace::kSendmsg, Trace::kBind, Trace::kAccept, Trace::kTcp})
    if (text == to_string(trace)) return trace;
  return std::nullopt;
}

std::string_view to_string(Enforcement enforcement) {
  switch (enforcement) {
    case Enforcement::kOff: return "off";
    case Enforcement::kAudit: return "audit";
    case Enforcement::kEnforce: return "enforce";
  }
  return "";
}

std::string_view to_string(Verdict verdict) {
  switch (verdict) {
    case Verdict::kAllowed: return "allowed";
    case Verdict::kDenied: return "denied";
    case Verdict::kWouldDeny: return "would-deny";
  }
  return "";
}

ProgramPlan default_program_plan() {
  ProgramPlan plan;
  plan.hooks.assign(std::begin(kDefaultHooks), std::end(kDefaultHooks));
  plan.traces = {Trace::kConnect};
  return plan;
}

std::string_view to_string(ProgramSetStatus::Attempt attempt) {
  switch (attempt) {
    case ProgramSetStatus::Attempt::kNone: return "in force";
    case ProgramSetStatus::Attempt::kRefused: return "refused";
    case ProgramSetStatus::Attempt::kRolledBack: return "rolled back";
  }
  return "";
}

Status check_set_name(std::string_view name) {
  const auto alphanumeric = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); };
  const bool plain = std::ranges::all_of(name, [&](char c) { return alphanumeric(c) || c == '-' || c == '_' || c == '.'; });
  if (name.empty() || name.size() > 63 || !plain || !alphanumeric(name.front()) || !alphanumeric(name.back()))
    return fail(Code::kInvalid,
                fmt::format("program set '{}': a name is letters, digits, '-', '_' and '.', begins and ends with a letter or "
                            "digit, and has at most 63 of them",
                            name));
  return {};
}

std::string_view to_string(EbpfPolicy policy) {
  switch (policy) {
    case EbpfPolicy::kRequired: return "required";
    case EbpfPolicy::kBestEffort: return "best-effort";
    case EbpfPolicy::kOff: return "off";
  }
  return "";
}

std::optional<EbpfPolicy> parse_ebpf_policy(std::string_view text) {
  for (const auto policy : {EbpfPolicy::kRequired, EbpfPolicy::kBestEffort, EbpfPolicy::kOff})
    if (text == to_string(policy)) return policy;
  return std::nullopt;
}

std::string_view to_string(HookState state) {
  switch (state) {
    case HookState::kAttached: return "Attached";
    case HookState::kAdopted: return "Adopted";
    case HookState::kDead: return "Dead";
    case HookState::kOverridden: return "Overridden";
    case HookState::kRefused: return "Refused";
    case HookState::kOff: return "Off";
  }
  return "";
}

std::string_view to_string(ProgramEventKind kind) {
  switch (kind) {
    case ProgramEventKind::kConnect: return "connect";
    case ProgramEventKind::kSendmsg: return "sendmsg";
    case ProgramEventKind::kBind: return "bind";
    case ProgramEventKind::kAccept: return "accept";
    case ProgramEventKind::kPacket: return "packet";
    case ProgramEventKind::kTcp: return "tcp";
    case ProgramEventKind::kDevice: return "device";
    case ProgramEventKind::kSysctl: return "sysctl";
    case ProgramEventKind::kSockopt: return "sockopt";
    case ProgramEventKind::kExec: return "exec";
    case ProgramEventKind::kExit: return "exit";
    case ProgramEventKind::kOom: return "oom";
  }
  return "";
}

}  // namespace pintle::model
