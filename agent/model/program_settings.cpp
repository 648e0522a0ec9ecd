// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "model/program_settings.h"

#include <algorithm>
#include <charconv>
#include <set>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "base/trace_context.h"

namespace pintle::model {
namespace {

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

template <typename T>
std::optional<T> number(std::string_view text) {
  T value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

std::unexpected<Error> bad(std::string_view text, std::string_view allowed) {
  return fail(Code::kInvalid, fmt::format("'{}' is not {}", text.substr(0, 60), allowed));
}

struct Name {
  std::string_view level, name;
  int level_value, value;
};
constexpr Name kOptions[] = {
    {"SOL_SOCKET", "SO_MARK", SOL_SOCKET, SO_MARK},
    {"SOL_SOCKET", "SO_PRIORITY", SOL_SOCKET, SO_PRIORITY},
    {"SOL_SOCKET", "SO_BINDTODEVICE", SOL_SOCKET, SO_BINDTODEVICE},
    {"SOL_SOCKET", "SO_RCVBUF", SOL_SOCKET, SO_RCVBUF},
    {"SOL_SOCKET", "SO_SNDBUF", SOL_SOCKET, SO_SNDBUF},
    {"SOL_SOCKET", "SO_RCVBUFFORCE", SOL_SOCKET, SO_RCVBUFFORCE},
    {"SOL_SOCKET", "SO_SNDBUFFORCE", SOL_SOCKET, SO_SNDBUFFORCE},
    {"SOL_SOCKET", "SO_REUSEADDR", SOL_SOCKET, SO_REUSEADDR},
    {"SOL_SOCKET", "SO_REUSEPORT", SOL_SOCKET, SO_REUSEPORT},
    {"SOL_SOCKET", "SO_KEEPALIVE", SOL_SOCKET, SO_KEEPALIVE},
    {"SOL_SOCKET", "SO_ATTACH_FILTER", SOL_SOCKET, SO_ATTACH_FILTER},
    {"SOL_SOCKET", "SO_ATTACH_BPF", SOL_SOCKET, SO_ATTACH_BPF},
    {"SOL_SOCKET", "SO_BROADCAST", SOL_SOCKET, SO_BROADCAST},
    {"SOL_IP", "IP_TOS", IPPROTO_IP, IP_TOS},
    {"SOL_IP", "IP_TTL", IPPROTO_IP, IP_TTL},
    {"SOL_IP", "IP_OPTIONS", IPPROTO_IP, IP_OPTIONS},
    {"SOL_IP", "IP_HDRINCL", IPPROTO_IP, IP_HDRINCL},
    {"SOL_IP", "IP_FREEBIND", IPPROTO_IP, IP_FREEBIND},
    {"SOL_IP", "IP_TRANSPARENT", IPPROTO_IP, IP_TRANSPARENT},
    {"SOL_IP", "IP_ADD_MEMBERSHIP", IPPROTO_IP, IP_ADD_MEMBERSHIP},
    {"SOL_IPV6", "IPV6_TCLASS", IPPROTO_IPV6, IPV6_TCLASS},
    {"SOL_IPV6", "IPV6_V6ONLY", IPPROTO_IPV6, IPV6_V6ONLY},
    {"SOL_IPV6", "IPV6_FREEBIND", IPPROTO_IPV6, IPV6_FREEBIND},
    {"SOL_IPV6", "IPV6_TRANSPARENT", IPPROTO_IPV6, IPV6_TRANSPARENT},
    {"SOL_TCP", "TCP_NODELAY", IPPROTO_TCP, TCP_NODELAY},
    {"SOL_TCP", "TCP_CONGESTION", IPPROTO_TCP, TCP_CONGESTION},
    {"SOL_TCP", "TCP_ULP", IPPROTO_TCP, TCP_ULP},
    {"SOL_TCP", "TCP_REPAIR", IPPROTO_TCP, TCP_REPAIR},
};
constexpr std::pair<std::string_view, std::string_view> kLevelAliases[] = {
    {"IPPROTO_IP", "SOL_IP"}, {"IPPROTO_IPV6", "SOL_IPV6"}, {"IPPROTO_TCP", "SOL_TCP"}};

// Items between commas; an empty text has none, an empty item is an error of its reader.
template <typename T, typename Read>
Result<std::vector<T>> read_items(std::string_view text, const Read& read) {
  std::vector<T> out;
  text = trimmed(text);
  while (!text.empty()) {
    const size_t comma = text.find(',');
    PINTLE_ASSIGN_OR_RETURN(T item, read(trimmed(text.substr(0, comma))));
    if (std::ranges::find(out, item) == out.end()) out.push_back(item);
    if (comma == std::string_view::npos) break;
    text = text.substr(comma + 1);
    if (trimmed(text).empty()) return bad(",", "the end of a list");
  }
  return out;
}

constexpr std::string_view kOurs = "pintle.dev/";
constexpr std::string_view kAnnotations[] = {kEbpfPolicyAnnotation,           kTraceAnnotation,       kNetworkPolicyAnnotation,
                                             kNetworkPolicyFailureAnnotation, kDenyDevicesAnnotation, kSysctlWritesAnnotation,
                                             kDenySockoptsAnnotation,         kTraceparentAnnotation, kStopTraceparentAnnotation};

// A misspelt name would protect nothing, and nobody would know.
Status check_names(const StringMap& annotations) {
  for (auto it = annotations.lower_bound(std::string(kOurs)); it != annotations.end() && it->first.starts_with(kOurs); ++it)
    if (std::ranges::find(kAnnotations, it->first) == std::end(kAnnotations))
      return fail(Code::kInvalid, fmt::format("annotation {}: there is no such one; those below pintle.dev/ are {}",
                                              it->first.substr(0, 120), fmt::join(kAnnotations, ", ")));
  return {};
}

}  // namespace

std::string_view to_string(PolicyFailure failure) { return failure == PolicyFailure::kOpen ? "open" : "closed"; }

std::string_view sysctl_writes_name(Enforcement value) {
  return value == Enforcement::kOff ? "allow" : value == Enforcement::kAudit ? "audit" : "deny";
}

Result<Trace> read_trace(std::string_view text) {
  if (const auto trace = parse_trace(text)) return *trace;
  return bad(text, "one of connect, sendmsg, bind, accept, tcp");
}

Result<Enforcement> read_network_policy(std::string_view text) {
  for (const auto value : {Enforcement::kEnforce, Enforcement::kAudit, Enforcement::kOff})
    if (text == to_string(value)) return value;
  return bad(text, "one of enforce, audit, off");
}

Result<PolicyFailure> read_policy_failure(std::string_view text) {
  for (const auto value : {PolicyFailure::kClosed, PolicyFailure::kOpen})
    if (text == to_string(value)) return value;
  return bad(text, "one of closed, open");
}

Result<Enforcement> read_sysctl_writes(std::string_view text) {
  for (const auto value : {Enforcement::kOff, Enforcement::kAudit, Enforcement::kEnforce})
    if (text == sysctl_writes_name(value)) return value;
  return bad(text, "one of allow, audit, deny");
}

Result<DeviceRule> read_device_rule(std::string_view text) {
  constexpr std::string_view kAllowed =
      "a device rule: c, b or a for the type, MAJOR:MINOR with * for all, and some of r, w, m, as in \"c 10:229 rw\"";
  const size_t first = text.find(' '), colon = text.find(':');
  if (first != 1 || colon == std::string_view::npos) return bad(text, kAllowed);
  const std::string_view numbers = trimmed(text.substr(1));
  const size_t second = numbers.find(' ');
  if (second == std::string_view::npos || numbers.find(':') > second) return bad(text, kAllowed);
  const std::string_view major = numbers.substr(0, numbers.find(':'));
  const std::string_view minor = numbers.substr(numbers.find(':') + 1, second - numbers.find(':') - 1);
  DeviceRule rule{.type = text.front(), .major = number<uint32_t>(major), .minor = number<uint32_t>(minor)};
  if (std::string_view("abc").find(rule.type) == std::string_view::npos) return bad(text, kAllowed);
  if ((!rule.major && major != "*") || (!rule.minor && minor != "*")) return bad(text, kAllowed);
  const std::string_view access = trimmed(numbers.substr(second));
  for (const char c : access) {
    bool& flag = c == 'r' ? rule.read : c == 'w' ? rule.write : rule.mknod;
    if (std::string_view("rwm").find(c) == std::string_view::npos || std::exchange(flag, true)) return bad(text, kAllowed);
  }
  if (access.empty()) return bad(text, kAllowed);
  return rule;
}

Result<SockoptRule> read_sockopt_rule(std::string_view text) {
  constexpr std::string_view kAllowed = "a socket option: LEVEL:NAME as numbers or names, as in \"1:36\" or \"SOL_SOCKET:SO_MARK\"";
  const size_t colon = text.find(':');
  if (colon == std::string_view::npos) return bad(text, kAllowed);
  std::string_view level = trimmed(text.substr(0, colon)), name = trimmed(text.substr(colon + 1));
  for (const auto& [alias, known] : kLevelAliases)
    if (level == alias) level = known;
  std::optional<int> level_value = number<int>(level), value = number<int>(name);
  for (const auto& option : kOptions) {
    if (option.level == level) level_value = option.level_value;
  }
  for (const auto& option : kOptions)
    if (option.name == name && level_value == option.level_value) value = option.value;
  if (level_value && value && *level_value >= 0 && *value >= 0) return SockoptRule{*level_value, *value};
  std::set<std::string_view> names;
  for (const auto& option : kOptions)
    if (!level_value || option.level_value == *level_value) names.insert(level_value ? option.name : option.level);
  std::string known;
  for (const auto& one : names) known += fmt::format("{}{}", known.empty() ? "" : ", ", one);
  return bad(text, fmt::format("{}{}", kAllowed, known.empty() ? "" : "; names known here: " + known));
}

std::string to_string(const DeviceRule& rule) {
  const auto part = [](const std::optional<uint32_t>& value) { return value ? std::to_string(*value) : std::string("*"); };
  return fmt::format("{} {}:{} {}{}{}", rule.type, part(rule.major), part(rule.minor), rule.read ? "r" : "", rule.write ? "w" : "",
                     rule.mknod ? "m" : "");
}

std::string to_string(const SockoptRule& rule) { return fmt::format("{}:{}", rule.level, rule.name); }

Result<ProgramSettings> settings_for(const StringMap& annotations, const ProgramSettings& defaults) {
  PINTLE_TRY(check_names(annotations));
  ProgramSettings out = defaults;
  const auto take = [&](std::string_view key, auto& into, auto&& read) -> Status {
    const auto found = annotations.find(std::string(key));
    if (found == annotations.end()) return {};
    auto value = read(trimmed(found->second));
    if (!value)
      return std::unexpected(with_context(value.error(), fmt::format("annotation {}: \"{}\"", key, found->second.substr(0, 120))));
    into = *std::move(value);
    return {};
  };
  PINTLE_TRY(take(kTraceAnnotation, out.traces, [](std::string_view text) { return read_items<Trace>(text, read_trace); }));
  PINTLE_TRY(take(kNetworkPolicyAnnotation, out.network_policy, read_network_policy));
  PINTLE_TRY(take(kNetworkPolicyFailureAnnotation, out.network_policy_failure, read_policy_failure));
  PINTLE_TRY(take(kDenyDevicesAnnotation, out.denied_devices,
                  [](std::string_view text) { return read_items<DeviceRule>(text, read_device_rule); }));
  PINTLE_TRY(take(kSysctlWritesAnnotation, out.sysctl_writes, read_sysctl_writes));
  PINTLE_TRY(take(kDenySockoptsAnnotation, out.denied_sockopts,
                  [](std::string_view text) { return read_items<SockoptRule>(text, read_sockopt_rule); }));
  std::ranges::sort(out.traces);
  return out;
}

ProgramPlan plan_from(const ProgramSettings& settings) {
  ProgramPlan plan;
  plan.traces = settings.traces;
  plan.denied_devices = settings.denied_devices;
  plan.sysctl_writes = settings.sysctl_writes;
  plan.denied_sockopts = settings.denied_sockopts;
  plan.hooks = hooks_for(plan);
  return plan;
}

std::vector<Hook> hooks_for(const ProgramPlan& plan) {
  const auto traces = [&](Trace trace) { return std::ranges::find(plan.traces, trace) != plan.traces.end(); };
  const auto wanted = [&](Hook hook) {
    switch (hook) {
      case Hook::kIngress:
      case Hook::kEgress:
      case Hook::kConnect4:
      case Hook::kConnect6: return true;
      case Hook::kSendmsg4:
      case Hook::kSendmsg6: return traces(Trace::kSendmsg) || (plan.isolate_egress && plan.network != Enforcement::kOff);
      case Hook::kBind4:
      case Hook::kBind6: return traces(Trace::kBind);
      case Hook::kSockOps: return traces(Trace::kAccept) || traces(Trace::kTcp);
      case Hook::kDevice: return !plan.denied_devices.empty();
      case Hook::kSysctl: return plan.sysctl_writes != Enforcement::kOff;
      case Hook::kSetsockopt: return !plan.denied_sockopts.empty();
    }
    return false;
  };
  std::vector<Hook> hooks;
  std::ranges::copy_if(kAllHooks, std::back_inserter(hooks), wanted);
  return hooks;
}

}  // namespace pintle::model
