// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "config/config.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <charconv>

#include <arpa/inet.h>
#include <fmt/format.h>

#include "base/unique_fd.h"
#include "codec/reader.h"
#include "config/kubelet_fields.h"
#include "config/otlp_fields.h"
#include "model/names.h"

namespace pintle::config {
namespace {

using codec::Cursor;
using codec::Fields;

constexpr std::pair<std::string_view, LogLevel> kLogLevels[] = {
    {"debug", LogLevel::kDebug}, {"info", LogLevel::kInfo}, {"warning", LogLevel::kWarning}, {"error", LogLevel::kError}};
constexpr std::string_view kSignals[] = {
    "memory.available",      "nodefs.available",       "nodefs.inodesFree",           "imagefs.available", "imagefs.inodesFree",
    "containerfs.available", "containerfs.inodesFree", "allocatableMemory.available", "pid.available"};
constexpr std::string_view kEnforceable[] = {
    "none", "pods", "system-reserved", "kube-reserved", "system-reserved-compressible", "kube-reserved-compressible"};

bool is_ip(const std::string& text) {
  std::array<unsigned char, 16> bytes{};
  return inet_pton(AF_INET, text.c_str(), bytes.data()) == 1 || inet_pton(AF_INET6, text.c_str(), bytes.data()) == 1;
}

template <typename T>
void read_at_least(const Cursor& cursor, T& out, T least) {
  read(cursor, out);
  if (out < least) cursor.error(fmt::format("{} is too small; at least {}", out, least));
}

void read_duration(const Cursor& cursor, Duration& out, Duration least, Duration most) {
  read(cursor, out);
  if (out < least || out > most)
    cursor.error(fmt::format("{} is not within {} and {}", format_duration(out), format_duration(least), format_duration(most)));
}
constexpr Duration kLong = std::chrono::hours{24 * 365};

void read_absolute(const Cursor& cursor, std::string& out) {
  read(cursor, out);
  if (cursor.node().is_string() && !out.starts_with('/')) cursor.error(fmt::format("'{}' is not an absolute path", out));
}

// "unix:///run/x.sock", or the path alone.
void read_endpoint(const Cursor& cursor, std::string& out) {
  read(cursor, out);
  if (out.starts_with('/')) out = "unix://" + out;
  if (!out.starts_with("unix:///")) cursor.error(fmt::format("'{}' is not a socket; write unix:///path/to.sock", out));
}

void read_names(const Cursor& cursor, std::vector<std::string>& out, std::span<const std::string_view> allowed) {
  read(cursor, out);
  if (!cursor.node().is_list()) return;
  for (size_t i = 0; i < cursor.node().children.size(); ++i)
    (void)codec::read_choice(Cursor(cursor, cursor.node().children[i], i), allowed);
}

void read_taints(const Cursor& cursor, std::vector<model::Taint>& out) {
  static constexpr std::string_view kEffects[] = {"NoSchedule", "PreferNoSchedule", "NoExecute"};
  if (!cursor.node().is_list()) return cursor.expected("a list");
  for (size_t i = 0; i < cursor.node().children.size(); ++i) {
    const Cursor element(cursor, cursor.node().children[i], i);
    Fields fields(element);
    model::Taint& taint = out.emplace_back();
    fields.required("key", taint.key);
    fields("value", taint.value);
    fields.with("effect", [&](const Cursor& at) {
      if (const auto choice = codec::read_choice(at, kEffects)) taint.effect = kEffects[*choice];
    });
    fields.ignore({"timeAdded"});
  }
}

// "100Mi" or "10%".
void read_threshold(const Cursor& cursor, EvictionThreshold& out) {
  const std::string& text = cursor.node().text;
  if (!cursor.node().is_string() || !text.ends_with('%')) return read(cursor, out.quantity.emplace());
  const char* end = text.data() + text.size() - 1;
  const auto [at, error] = std::from_chars(text.data(), end, out.percent);
  if (error != std::errc{} || at != end || !(out.percent >= 0 && out.percent <= 100))
    cursor.error(fmt::format("'{}' is not a share; use 0% to 100%", text.substr(0, 40)));
}

void read_eviction(const Cursor& cursor, std::map<std::string, EvictionThreshold>& out) {
  out.clear();  // a file that gives one threshold gives all, as with a kubelet
  Fields fields(cursor);
  for (const auto signal : kSignals) fields.with(signal, [&](const Cursor& at) { read_threshold(at, out[std::string(signal)]); });
}

// YAML reads a bare "off" as false; there is only one thing that it can mean here.
bool is_bare_off(const Cursor& at) { return at.node().kind == codec::Node::Kind::kBool && !at.node().is_true(); }

// A word or an item as in the annotations of pods.
template <typename T>
void read_setting(const Cursor& cursor, T& out, Result<T> (*parse)(std::string_view)) {
  std::string text;
  if (is_bare_off(cursor))
    text = "off";
  else
    read(cursor, text);
  if (!cursor.node().is_string() && !is_bare_off(cursor)) return;
  if (auto value = parse(text))
    out = *std::move(value);
  else
    cursor.error(value.error().message());
}

template <typename T>
void read_settings(const Cursor& cursor, std::vector<T>& out, Result<T> (*parse)(std::string_view)) {
  if (!cursor.node().is_list()) return cursor.expected("a list");
  out.clear();
  for (size_t i = 0; i < cursor.node().children.size(); ++i) {
    T item{};
    read_setting(Cursor(cursor, cursor.node().children[i], i), item, parse);
    if (std::ranges::find(out, item) == out.end()) out.push_back(item);
  }
}

void read_programs(Fields& fields, EbpfOptions& out) {
  auto& programs = out.programs;
  fields.with("trace", [&](const Cursor& at) {
    read_settings(at, programs.traces, model::read_trace);
    std::ranges::sort(programs.traces);
  });
  fields.with("networkPolicy", [&](const Cursor& at) { read_setting(at, programs.network_policy, model::read_network_policy); });
  fields.with("networkPolicyFailure", [&](const Cursor& at) {
    read_setting(at, out.network_policy_failure.emplace(model::PolicyFailure::kClosed), model::read_policy_failure);
  });
  fields.with("denyDevices", [&](const Cursor& at) { read_settings(at, programs.denied_devices, model::read_device_rule); });
  fields.with("sysctlWrites", [&](const Cursor& at) { read_setting(at, programs.sysctl_writes, model::read_sysctl_writes); });
  fields.with("denySockopts", [&](const Cursor& at) { read_settings(at, programs.denied_sockopts, model::read_sockopt_rule); });
}

void read_ebpf(const Cursor& cursor, EbpfOptions& out) {
  Fields fields(cursor);
  read_programs(fields, out);
  fields.with("policy", [&](const Cursor& at) {
    using enum model::EbpfPolicy;
    if (is_bare_off(at)) {
      out.policy = kOff;
      return;
    }
    read_enum(at, out.policy, {kRequired, kBestEffort, kOff});
  });
  fields.with("bpffs", [&](const Cursor& at) { read_absolute(at, out.bpffs); });
  fields.with("programsFolder", [&](const Cursor& at) {
    read(at, out.programs_folder);
    if (at.node().is_string() && !out.programs_folder.empty() && !out.programs_folder.starts_with('/'))
      at.error(fmt::format("'{}' is not an absolute path; \"\" reads no folder", out.programs_folder));
  });
  fields.with("programsNamespace", [&](const Cursor& at) {
    read(at, out.programs_namespace);
    if (at.node().is_string() && !out.programs_namespace.empty() && !model::is_dns_label(out.programs_namespace))
      at.error(fmt::format("'{}' is not the name of a namespace; \"\" reads no ConfigMaps", out.programs_namespace));
  });
  fields.with("setsFolder", [&](const Cursor& at) { read_absolute(at, out.sets_folder); });
  fields.with("programSet", [&](const Cursor& at) {
    read(at, out.program_set);
    if (const auto named = model::check_set_name(out.program_set); at.node().is_string() && !named) at.error(named.error().message());
  });
}

void read_mode(const Cursor& cursor, Mode& out) {
  static constexpr std::string_view kModes[] = {"standalone", "node", "companion"};
  static constexpr Mode kValues[] = {Mode::kStandalone, Mode::kNode, Mode::kCompanion};
  if (const auto choice = codec::read_choice(cursor, kModes)) out = kValues[*choice];
}

void read_metrics_listen(const Cursor& cursor, std::string& out) {
  read(cursor, out);
  if (cursor.node().is_string() && !out.empty() && out.rfind(':') == std::string::npos)
    cursor.error(fmt::format("'{}' is not ADDRESS:PORT, such as 127.0.0.1:9810; \"\" serves no metrics", out));
}

void read_event_file(const Cursor& cursor, std::string& out) {
  read(cursor, out);
  if (cursor.node().is_string() && !out.empty() && out != "stdout" && !out.starts_with('/'))
    cursor.error(fmt::format("'{}' is neither an absolute path nor stdout", out));
}

void read_log_links(const Cursor& cursor, std::string& out) {
  read(cursor, out);
  if (cursor.node().is_string() && !out.empty() && !out.starts_with('/'))
    cursor.error(fmt::format("'{}' is not an absolute path; \"\" makes no links", out));
}

void read_nri(const Cursor& cursor, NriOptions& out) {
  Fields fields(cursor);
  fields.with("mode", [&](const Cursor& at) {
    using enum NriMode;
    if (is_bare_off(at)) {
      out.mode = kOff;
      return;
    }
    read_enum(at, out.mode, {kAuto, kRequired, kOff});
  });
  fields("failClosed", out.fail_closed);
  fields.with("socket", [&](const Cursor& at) { read_absolute(at, out.socket); });
  fields.with("timeout",
              [&](const Cursor& at) { read_duration(at, out.timeout, std::chrono::milliseconds{1}, std::chrono::milliseconds{1900}); });
}

void read_pintle(const Cursor& cursor, AgentConfig& config) {
  PintleOptions& out = config.pintle;
  Fields fields(cursor);
  fields.with("mode", [&](const Cursor& at) { read_mode(at, out.mode); });
  fields.with("nodeName", [&](const Cursor& at) {
    read(at, out.node_name);
    if (at.node().is_string() && !model::is_dns_subdomain(out.node_name))
      at.error(fmt::format("'{}' is not a node's name; use a-z, 0-9, '-' and '.'", out.node_name));
  });
  fields.with("nodeIP", [&](const Cursor& at) {
    read(at, out.node_ip);
    if (at.node().is_string() && !is_ip(out.node_ip)) at.error(fmt::format("'{}' is not an IP address", out.node_ip));
  });
  fields.with("kubeconfig", [&](const Cursor& at) { read_absolute(at, out.kubeconfig); });
  fields.with("rootDir", [&](const Cursor& at) { read_absolute(at, out.root_dir); });
  fields.with("runDir", [&](const Cursor& at) { read_absolute(at, out.run_dir); });
  fields.with("containerLogsDir", [&](const Cursor& at) { read_log_links(at, out.container_logs_dir); });
  fields.with("controlSocket", [&](const Cursor& at) { read_absolute(at, out.control_socket); });
  fields.with("listen", [&](const Cursor& at) {
    read(at, out.listen);
    if (at.node().is_string() && (out.listen.empty() || out.listen.rfind(':') == std::string::npos))
      at.error(fmt::format("'{}' is not HOST:PORT, such as 127.0.0.1:6443", out.listen));
  });
  fields.with("cgroupMount", [&](const Cursor& at) { read_absolute(at, out.cgroup_mount); });
  fields.with("nodeNetwork", [&](const Cursor& at) { read_absolute(at, out.node_network); });
  fields.with("companion", [&](const Cursor& at) { Fields(at).with("nri", [&](const Cursor& inner) { read_nri(inner, out.nri); }); });
  fields("nodeLabels", out.node_labels);
  fields.with("ebpf", [&](const Cursor& at) { read_ebpf(at, out.ebpf); });
  fields.with("metrics", [&](const Cursor& at) {
    Fields(at).with("listen", [&](const Cursor& inner) { read_metrics_listen(inner, out.metrics_listen); });
  });
  fields.with("events",
              [&](const Cursor& at) { Fields(at).with("json", [&](const Cursor& inner) { read_event_file(inner, out.events_json); }); });
  fields.with("otlp", [&](const Cursor& at) { read_otlp(at, out.otlp); });
  fields.with("imageCredentialProviderConfig", [&](const Cursor& at) { read_absolute(at, out.image_credential_provider_config); });
  fields.with("imageCredentialProviderBinDir", [&](const Cursor& at) { read_absolute(at, out.image_credential_provider_bin_dir); });
  fields.with("logLevel", [&](const Cursor& at) { read_name(at, config.log_level, kLogLevels); });
}

void read_type(Fields& fields) {
  std::string api_version, kind;
  fields.required("apiVersion", api_version);
  fields.required("kind", kind);
  const bool kubelet = api_version == "kubelet.config.k8s.io/v1beta1" && kind == "KubeletConfiguration";
  const bool own = api_version == "pintle.dev/v1" && kind == "PintleConfiguration";
  if (!kubelet && !own && !api_version.empty() && !kind.empty())
    fields.cursor().error(fmt::format("'{}' of '{}' is no configuration; use kind: PintleConfiguration with apiVersion: pintle.dev/v1",
                                      kind.substr(0, 60), api_version.substr(0, 60)));
}

// logging.verbosity 4 and above is what a kubelet's debug lines have.
void read_logging(const Cursor& cursor, AgentConfig& config) {
  Fields fields(cursor);
  int32_t verbosity = 0;
  fields("verbosity", verbosity);
  if (verbosity >= 4) config.log_level = LogLevel::kDebug;
  for (const std::string_view name : {"format", "flushFrequency", "vmodule", "options"})
    if (const auto* child = fields.find(name))
      config.warnings.push_back(
          fmt::format("{}:{}: logging.{}: accepted and not acted on yet", cursor.log().options().origin, child->line, name));
}

void read_config(const Cursor& cursor, AgentConfig& out) {
  using std::chrono::milliseconds;
  using std::chrono::seconds;
  Fields fields(cursor);
  read_type(fields);
  fields.with("logging", [&](const Cursor& at) { read_logging(at, out); });
  fields.with("pintle", [&](const Cursor& at) { read_pintle(at, out); });

  fields.with("staticPodPath", [&](const Cursor& at) { read_absolute(at, out.static_pod_path); });
  fields.with("containerRuntimeEndpoint", [&](const Cursor& at) { read_endpoint(at, out.container_runtime_endpoint); });
  fields.with("imageServiceEndpoint", [&](const Cursor& at) { read_endpoint(at, out.image_service_endpoint); });
  fields.with("runtimeRequestTimeout", [&](const Cursor& at) { read_duration(at, out.runtime_request_timeout, milliseconds{1}, kLong); });
  fields.with("podLogsDir", [&](const Cursor& at) { read_absolute(at, out.pod_logs_dir); });
  fields("serializeImagePulls", out.serialize_image_pulls);
  fields.with("maxParallelImagePulls", [&](const Cursor& at) {
    read_at_least(at, out.max_parallel_image_pulls.emplace(), 1);
    if (*out.max_parallel_image_pulls > 1 && out.serialize_image_pulls) at.error("needs serializeImagePulls: false");
  });
  fields.with("crashLoopBackOff", [&](const Cursor& at) {
    Fields inner(at);
    inner.with("maxContainerRestartPeriod",
               [&](const Cursor& period) { read_duration(period, out.max_container_restart_period, seconds{1}, seconds{300}); });
  });

  fields.with("cgroupRoot", [&](const Cursor& at) { read_absolute(at, out.cgroup_root); });
  fields.with("cgroupDriver",
              [&](const Cursor& at) { read_enum(at, out.cgroup_driver, {CgroupDriver::kCgroupfs, CgroupDriver::kSystemd}); });
  fields.with("podPidsLimit", [&](const Cursor& at) { read_at_least(at, out.pod_pids_limit, int64_t{-1}); });
  fields.with("maxPods", [&](const Cursor& at) { read_at_least(at, out.max_pods, 1); });
  fields("systemReserved", out.system_reserved);
  fields("kubeReserved", out.kube_reserved);
  fields.with("evictionHard", [&](const Cursor& at) { read_eviction(at, out.eviction_hard); });
  fields.with("enforceNodeAllocatable", [&](const Cursor& at) { read_names(at, out.enforce_node_allocatable, kEnforceable); });
  fields("failSwapOn", out.fail_swap_on);

  fields.with("clusterDNS", [&](const Cursor& at) {
    read(at, out.cluster_dns);
    for (size_t i = 0; i < out.cluster_dns.size() && i < at.node().children.size(); ++i)
      if (!is_ip(out.cluster_dns[i]))
        Cursor(at, at.node().children[i], i).error(fmt::format("'{}' is not an IP address", out.cluster_dns[i]));
  });
  fields("clusterDomain", out.cluster_domain);
  fields("resolvConf", out.resolv_conf);

  fields("registerNode", out.register_node);
  fields.with("registerWithTaints", [&](const Cursor& at) { read_taints(at, out.register_with_taints); });
  fields.with("nodeStatusUpdateFrequency",
              [&](const Cursor& at) { read_duration(at, out.node_status_update_frequency, seconds{1}, kLong); });
  fields.with("nodeStatusReportFrequency",
              [&](const Cursor& at) { read_duration(at, out.node_status_report_frequency, seconds{1}, kLong); });
  fields.with("nodeLeaseDurationSeconds", [&](const Cursor& at) {
    int32_t value = 40;
    read_at_least(at, value, 1);
    out.node_lease_duration = seconds{value};
  });
  fields.with("kubeAPIQPS", [&](const Cursor& at) { read_at_least(at, out.kube_api_qps, 1); });
  fields.with("kubeAPIBurst", [&](const Cursor& at) { read_at_least(at, out.kube_api_burst, 1); });

  for (const auto name : kNotActedOn)
    if (const auto* child = fields.find(name))
      out.warnings.push_back(fmt::format("{}:{}: {}: accepted and not acted on yet", cursor.log().options().origin, child->line, name));
}

// What depends on more than one field.
void finish(AgentConfig& config) {
  if (config.pintle.control_socket.empty()) config.pintle.control_socket = config.pintle.run_dir + "/pintle.sock";
  if (config.image_service_endpoint.empty()) config.image_service_endpoint = config.container_runtime_endpoint;
  auto& ebpf = config.pintle.ebpf;
  if (!ebpf.network_policy_failure)
    ebpf.network_policy_failure = config.pintle.mode == Mode::kStandalone ? model::PolicyFailure::kClosed : model::PolicyFailure::kOpen;
  ebpf.programs.network_policy_failure = *ebpf.network_policy_failure;
  if (config.static_pod_path.empty() && config.pintle.mode == Mode::kStandalone) config.static_pod_path = "/etc/pintle/manifests";
}

// A kubelet's own on Linux.
AgentConfig initial_config() {
  AgentConfig config;
  config.eviction_hard["memory.available"].quantity = Quantity::from_value(int64_t{100} << 20U);
  config.eviction_hard["nodefs.available"].percent = 10;
  config.eviction_hard["nodefs.inodesFree"].percent = 5;
  config.eviction_hard["imagefs.available"].percent = 15;
  config.eviction_hard["imagefs.inodesFree"].percent = 5;
  return config;
}

Error joined(std::vector<Error> errors) {
  Error out = std::move(errors.front());
  for (size_t i = 1; i < errors.size(); ++i) out.context += "\n" + errors[i].context;
  return out;
}

}  // namespace

std::string_view to_string(Mode mode) {
  switch (mode) {
    case Mode::kStandalone: return "standalone";
    case Mode::kNode: return "node";
    case Mode::kCompanion: return "companion";
  }
  return "standalone";
}
std::string_view to_string(CgroupDriver driver) { return driver == CgroupDriver::kSystemd ? "systemd" : "cgroupfs"; }

std::string_view to_string(NriMode mode) {
  switch (mode) {
    case NriMode::kAuto: return "auto";
    case NriMode::kRequired: return "required";
    case NriMode::kOff: return "off";
  }
  return "auto";
}

AgentConfig default_config() {
  AgentConfig config = initial_config();
  finish(config);
  return config;
}

Result<AgentConfig> parse(std::string_view text, const std::string& origin) {
  codec::Documents documents = codec::parse_documents(text, origin);
  if (!documents.errors.empty()) return std::unexpected(joined(std::move(documents.errors)));
  if (documents.roots.size() != 1)
    return std::unexpected(codec::document_error(origin, 1, fmt::format("expected one document, found {}", documents.roots.size())));
  AgentConfig config = initial_config();
  codec::ReadLog log({.origin = origin, .unknown_fields = codec::UnknownFields::kRefuse});
  read_config(Cursor(log, documents.roots.front()), config);
  if (!log.empty()) return std::unexpected(joined(log.take_errors()));
  finish(config);
  if (config.pintle.mode == Mode::kNode && config.pintle.kubeconfig.empty())
    return std::unexpected(codec::document_error(origin, documents.roots.front().line,
                                                 "pintle.kubeconfig: is required in mode 'node'; name the file that reaches the API"));
  return config;
}

Result<AgentConfig> load(const std::string& path) {
  PINTLE_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  PINTLE_ASSIGN_OR_RETURN(AgentConfig config, parse(text, path));
  if (config.pintle.node_name.empty()) {
    PINTLE_ASSIGN_OR_RETURN(config.pintle.node_name, host_name());
  }
  return config;
}

Result<std::string> host_name() {
  std::array<char, 256> buffer{};
  if (gethostname(buffer.data(), buffer.size() - 1) != 0) return fail_errno(errno, "read the host's name");
  std::string name(buffer.data());
  std::ranges::transform(name, name.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  if (!model::is_dns_subdomain(name))
    return fail(Code::kInvalid, fmt::format("the host's name '{}' can't name a node; set pintle.nodeName", name));
  return name;
}

}  // namespace pintle::config
