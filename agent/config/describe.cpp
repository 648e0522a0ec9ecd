// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <fmt/format.h>

#include "codec/document.h"
#include "config/config.h"

namespace pintle::config {
namespace {

using codec::Node;

Node scalar(Node::Kind kind, std::string_view key, std::string text) {
  Node node;
  node.kind = kind;
  node.key = key;
  node.text = std::move(text);
  return node;
}
Node container(Node::Kind kind, std::string_view key) { return scalar(kind, key, {}); }

// Adds entries to one map.
class Writer {
 public:
  explicit Writer(Node& map) : map_(map) {}
  void text(std::string_view key, std::string_view value) { map_.children.push_back(scalar(Node::Kind::kString, key, std::string(value))); }
  void text_if_any(std::string_view key, std::string_view value) {
    if (!value.empty()) text(key, value);
  }
  void number(std::string_view key, int64_t value) { map_.children.push_back(scalar(Node::Kind::kInteger, key, fmt::format("{}", value))); }
  void real(std::string_view key, double value) { map_.children.push_back(scalar(Node::Kind::kFloat, key, fmt::format("{}", value))); }
  void boolean(std::string_view key, bool value) { map_.children.push_back(scalar(Node::Kind::kBool, key, value ? "true" : "false")); }
  void duration(std::string_view key, Duration value) { text(key, format_duration(value)); }
  Node& map(std::string_view key) { return map_.children.emplace_back(container(Node::Kind::kMap, key)); }
  Node& list(std::string_view key) { return map_.children.emplace_back(container(Node::Kind::kList, key)); }
  void texts(std::string_view key, const std::vector<std::string>& values) {
    Node& node = list(key);
    for (const auto& value : values) node.children.push_back(scalar(Node::Kind::kString, {}, value));
  }
  void resources(std::string_view key, const model::ResourceList& values) {
    if (values.empty()) return;
    Writer inner(map(key));
    for (const auto& [name, quantity] : values) inner.text(name, quantity.text());
  }

 private:
  Node& map_;
};

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return "debug";
    case LogLevel::kInfo: return "info";
    case LogLevel::kWarning: return "warning";
    case LogLevel::kError: return "error";
  }
  return "";
}

void write_pairs(Writer& out, std::string_view key, const model::StringMap& values) {
  Writer inner(out.map(key));
  for (const auto& [name, value] : values) inner.text(name, value);
}

void write_way(Writer& out, const OtlpWay& way) {
  if (way.protocol) out.text("protocol", to_string(*way.protocol));
  if (way.compression) out.text("compression", to_string(*way.compression));
  if (way.headers) write_pairs(out, "headers", *way.headers);
  if (!way.ca_file.empty() || !way.certificate_file.empty() || way.skip_verification) {
    Writer tls(out.map("tls"));
    tls.text_if_any("caFile", way.ca_file);
    tls.text_if_any("certificateFile", way.certificate_file);
    tls.text_if_any("keyFile", way.key_file);
    if (way.skip_verification) tls.boolean("skipVerification", *way.skip_verification);
  }
  if (way.insecure) out.boolean("insecure", *way.insecure);
  if (way.timeout) out.duration("timeout", *way.timeout);
  if (way.give_up_after) out.duration("giveUpAfter", *way.give_up_after);
  if (!way.batch_delay && !way.batch_size && !way.batch_queue) return;
  Writer batch(out.map("batch"));
  if (way.batch_delay) batch.duration("delay", *way.batch_delay);
  if (way.batch_size) batch.number("size", *way.batch_size);
  if (way.batch_queue) batch.number("queue", *way.batch_queue);
}

void write_otlp(Node& node, const OtlpOptions& options) {
  Writer out(node);
  out.text("endpoint", options.endpoint);
  write_way(out, options);
  for (const auto signal : model::kOtlpSignals) {
    const auto& own = options.own_of(signal);
    if (own == OtlpWay{}) continue;
    Writer inner(out.map(to_string(signal)));
    inner.text_if_any("endpoint", own.endpoint);
    write_way(inner, own);
  }
  if (options.interval) out.duration("interval", *options.interval);
  if (options.signals) {
    std::vector<std::string> signals;
    for (const auto signal : model::kOtlpSignals)
      if ((*options.signals)[index_of(signal)]) signals.emplace_back(to_string(signal));
    out.texts("signals", signals);
  }
  if (options.sampling) out.real("sampling", *options.sampling);
  if (options.parent_based) out.boolean("parentBased", *options.parent_based);
  out.text_if_any("serviceName", options.service_name);
  if (!options.resource_attributes.empty()) write_pairs(out, "resourceAttributes", options.resource_attributes);
}

void write_pintle(Node& node, const AgentConfig& config) {
  const PintleOptions& options = config.pintle;
  Writer out(node);
  out.text("mode", to_string(options.mode));
  out.text_if_any("nodeName", options.node_name);
  out.text_if_any("nodeIP", options.node_ip);
  out.text_if_any("kubeconfig", options.kubeconfig);
  out.text("rootDir", options.root_dir);
  out.text("runDir", options.run_dir);
  out.text("containerLogsDir", options.container_logs_dir);
  out.text("controlSocket", options.control_socket);
  out.text("listen", options.listen);
  out.text_if_any("cgroupMount", options.cgroup_mount);
  out.text_if_any("nodeNetwork", options.node_network);
  Writer companion(out.map("companion"));
  Writer nri(companion.map("nri"));
  nri.text("mode", to_string(options.nri.mode));
  nri.boolean("failClosed", options.nri.fail_closed);
  nri.text("socket", options.nri.socket);
  nri.duration("timeout", options.nri.timeout);
  out.text("logLevel", level_name(config.log_level));
  if (!options.node_labels.empty()) {
    Writer labels(out.map("nodeLabels"));
    for (const auto& [key, value] : options.node_labels) labels.text(key, value);
  }
  Writer ebpf(out.map("ebpf"));
  ebpf.text("policy", to_string(options.ebpf.policy));
  ebpf.text("bpffs", options.ebpf.bpffs);
  ebpf.text("programsFolder", options.ebpf.programs_folder);
  ebpf.text("programsNamespace", options.ebpf.programs_namespace);
  ebpf.text("programSet", options.ebpf.program_set);
  ebpf.text("setsFolder", options.ebpf.sets_folder);
  const auto& programs = options.ebpf.programs;
  const auto texts = [](const auto& items) {
    std::vector<std::string> names;
    for (const auto& item : items) names.emplace_back(to_string(item));
    return names;
  };
  ebpf.texts("trace", texts(programs.traces));
  ebpf.text("networkPolicy", to_string(programs.network_policy));
  ebpf.text("networkPolicyFailure", to_string(programs.network_policy_failure));
  ebpf.texts("denyDevices", texts(programs.denied_devices));
  ebpf.text("sysctlWrites", model::sysctl_writes_name(programs.sysctl_writes));
  ebpf.texts("denySockopts", texts(programs.denied_sockopts));
  Writer(out.map("metrics")).text("listen", options.metrics_listen);
  Writer(out.map("events")).text("json", options.events_json);
  write_otlp(out.map("otlp"), options.otlp);
  out.text_if_any("imageCredentialProviderConfig", options.image_credential_provider_config);
  out.text_if_any("imageCredentialProviderBinDir", options.image_credential_provider_bin_dir);
}

void write_taints(Node& list, const std::vector<model::Taint>& taints) {
  for (const auto& taint : taints) {
    Writer out(list.children.emplace_back(container(Node::Kind::kMap, {})));
    out.text("key", taint.key);
    out.text_if_any("value", taint.value);
    out.text_if_any("effect", taint.effect);
  }
}

}  // namespace

std::string describe(const AgentConfig& config) {
  Node root = container(Node::Kind::kMap, {});
  Writer out(root);
  out.text("apiVersion", "pintle.dev/v1");
  out.text("kind", "PintleConfiguration");
  out.text_if_any("staticPodPath", config.static_pod_path);
  out.text("containerRuntimeEndpoint", config.container_runtime_endpoint);
  out.text("imageServiceEndpoint", config.image_service_endpoint);
  out.duration("runtimeRequestTimeout", config.runtime_request_timeout);
  out.text("podLogsDir", config.pod_logs_dir);
  out.boolean("serializeImagePulls", config.serialize_image_pulls);
  if (config.max_parallel_image_pulls) out.number("maxParallelImagePulls", *config.max_parallel_image_pulls);
  Writer(out.map("crashLoopBackOff")).duration("maxContainerRestartPeriod", config.max_container_restart_period);
  out.text("cgroupRoot", config.cgroup_root);
  out.text("cgroupDriver", to_string(config.cgroup_driver));
  out.number("podPidsLimit", config.pod_pids_limit);
  out.number("maxPods", config.max_pods);
  out.resources("systemReserved", config.system_reserved);
  out.resources("kubeReserved", config.kube_reserved);
  Writer eviction(out.map("evictionHard"));
  for (const auto& [signal, threshold] : config.eviction_hard)
    eviction.text(signal, threshold.quantity ? threshold.quantity->text() : fmt::format("{}%", threshold.percent));
  out.texts("enforceNodeAllocatable", config.enforce_node_allocatable);
  out.boolean("failSwapOn", config.fail_swap_on);
  out.texts("clusterDNS", config.cluster_dns);
  out.text_if_any("clusterDomain", config.cluster_domain);
  out.text("resolvConf", config.resolv_conf);
  out.boolean("registerNode", config.register_node);
  write_taints(out.list("registerWithTaints"), config.register_with_taints);
  out.duration("nodeStatusUpdateFrequency", config.node_status_update_frequency);
  out.duration("nodeStatusReportFrequency", config.node_status_report_frequency);
  out.number("nodeLeaseDurationSeconds", config.node_lease_duration.count());
  out.number("kubeAPIQPS", config.kube_api_qps);
  out.number("kubeAPIBurst", config.kube_api_burst);
  write_pintle(out.map("pintle"), config);
  return to_yaml(root);
}

}  // namespace pintle::config
