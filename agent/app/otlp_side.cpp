// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/otlp_side.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "kube/connection_poster.h"
#include "telemetry/otlp_transport.h"

namespace pintle::app {
namespace {

using Headers = std::vector<std::pair<std::string, std::string>>;

std::string to_lower(std::string text) {
  std::ranges::transform(text, text.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

Result<std::unique_ptr<telemetry::OtlpTransport>> make_transport(const config::OtlpOptions& options, const Clock& clock) {
  PINTLE_ASSIGN_OR_RETURN(const auto endpoint, parse_otlp_endpoint(options.endpoint, options.effective_protocol()));
  Headers headers;
  for (const auto& [name, value] : options.headers) headers.emplace_back(to_lower(name), value);  // gRPC takes no capitals
  if (options.effective_protocol() == config::OtlpProtocol::kGrpc) {
    const bool v6 = endpoint.host.find(':') != std::string::npos;
    return telemetry::make_grpc_transport({.target = fmt::format("{}{}{}:{}", v6 ? "[" : "", endpoint.host, v6 ? "]" : "", endpoint.port),
                                           .metadata = std::move(headers),
                                           .timeout = options.timeout});
  }
  kube::Kubeconfig server;
  server.tls = endpoint.tls;
  server.host = endpoint.host;
  server.port = endpoint.port;
  server.path_prefix = endpoint.path;
  server.ca.file = options.ca_file;
  server.client_certificate.file = options.certificate_file;
  server.client_key.file = options.key_file;
  server.insecure_skip_tls_verify = options.skip_verification;
  PINTLE_ASSIGN_OR_RETURN(auto connection, kube::ApiConnection::create(
                                               server, clock, {.name = "otlp", .deadline = options.timeout, .max_body = size_t{1} << 20U}));
  headers.emplace_back("Accept", "application/x-protobuf");
  return telemetry::make_http_transport(std::make_unique<kube::ConnectionPoster>(std::move(connection), std::move(headers)));
}

std::string machine_id() {
  auto text = read_file("/etc/machine-id").value_or("");
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

std::vector<ports::Attribute> otlp_resource(const config::AgentConfig& config, const std::string& version, const std::string& host_name,
                                            const std::string& machine_id, int64_t pid) {
  const auto& otlp = config.pintle.otlp;
  std::map<std::string, ports::AttributeValue> attributes = {
      {"service.name", otlp.service_name.empty() ? std::string("pintled") : otlp.service_name},
      {"service.version", version},
      {"service.instance.id", config.pintle.node_name},
      {"host.name", host_name},
      {"os.type", std::string("linux")},
      {"k8s.node.name", config.pintle.node_name},
      {"process.pid", pid},
      {"process.executable.name", std::string("pintled")},
  };
  if (!machine_id.empty()) attributes["host.id"] = machine_id;
  for (const auto& [name, value] : otlp.resource_attributes)
    if (name != "service.name" || otlp.service_name.empty()) attributes[name] = value;  // the name given as such goes over both
  std::vector<ports::Attribute> list;
  for (auto& [name, value] : attributes) list.push_back({name, std::move(value)});
  return list;
}

Result<std::unique_ptr<telemetry::OtlpExporter>> make_otlp(OtlpInputs inputs) {
  const auto& otlp = inputs.config.pintle.otlp;
  PINTLE_ASSIGN_OR_RETURN(auto transport, make_transport(otlp, inputs.clock));
  telemetry::OtlpExporterOptions options{.sampling = otlp.sampling, .traces = otlp.traces, .logs = otlp.logs};
  auto& pipeline = options.pipeline;
  pipeline.origin = {.resource = otlp_resource(inputs.config, inputs.version, config::host_name().value_or(inputs.config.pintle.node_name),
                                               machine_id(), ::getpid()),
                     .version = inputs.version};
  if (otlp.metrics) pipeline.figures = std::move(inputs.figures);
  pipeline.pod_name = std::move(inputs.pod_name);
  pipeline.interval = otlp.interval;
  pipeline.seed = std::random_device{}();
  pipeline.on_change = [told = std::move(inputs.told)](telemetry::OtlpSignal signal, const std::string& problem) {
    told(problem.empty(), problem.empty() ? fmt::format("{} are exported again", to_string(signal))
                                          : fmt::format("{} can't be exported: {}", to_string(signal), problem));
  };
  return std::make_unique<telemetry::OtlpExporter>(std::move(options), std::move(transport), inputs.clock);
}

}  // namespace pintle::app
