// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/otlp_side.h"

#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "base/mutex.h"
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

Headers headers_of(const config::OtlpRoute& route) {
  Headers headers;
  for (const auto& [name, value] : route.headers) headers.emplace_back(to_lower(name), value);  // gRPC takes no capitals
  return headers;
}

telemetry::OtlpPacking packing_of(const config::OtlpRoute& route) {
  return route.compression == config::OtlpCompression::kGzip ? telemetry::OtlpPacking::kGzip : telemetry::OtlpPacking::kPlain;
}

std::unique_ptr<telemetry::OtlpTransport> grpc_transport(const config::OtlpRoute& route) {
  const auto& [tls, host, port, path] = route.endpoint;
  const bool v6 = host.find(':') != std::string::npos;
  return telemetry::make_grpc_transport({.target = fmt::format("{}{}{}:{}", v6 ? "[" : "", host, v6 ? "]" : "", port),
                                         .metadata = headers_of(route),
                                         .timeout = route.timeout,
                                         .packing = packing_of(route)});
}

Result<std::unique_ptr<telemetry::OtlpTransport>> http_transport(const config::OtlpRoute& route, model::PerSignal<std::string> paths,
                                                                 const Clock& clock) {
  kube::Kubeconfig server;
  server.tls = route.endpoint.tls;
  server.host = route.endpoint.host;
  server.port = route.endpoint.port;
  server.ca.file = route.ca_file;
  server.client_certificate.file = route.certificate_file;
  server.client_key.file = route.key_file;
  server.insecure_skip_tls_verify = route.skip_verification;
  PINTLE_ASSIGN_OR_RETURN(auto connection, kube::ApiConnection::create(
                                               server, clock, {.name = "otlp", .deadline = route.timeout, .max_body = size_t{1} << 20U}));
  const bool json = route.protocol == config::OtlpProtocol::kHttpJson;
  return telemetry::make_http_transport(std::make_unique<kube::ConnectionPoster>(std::move(connection), headers_of(route)),
                                        {.paths = std::move(paths),
                                         .encoding = json ? telemetry::OtlpEncoding::kJson : telemetry::OtlpEncoding::kProtobuf,
                                         .packing = packing_of(route)});
}

// Signals that differ in nothing but their path share a connection.
Result<telemetry::OtlpDestinations> make_destinations(const config::OtlpOptions& options, const Clock& clock) {
  std::vector<config::OtlpRoute> routes;
  telemetry::OtlpDestinations out;
  model::PerSignal<std::string> paths;
  for (const auto signal : model::kOtlpSignals) {
    if (!options.exports(signal)) continue;
    PINTLE_ASSIGN_OR_RETURN(auto route, route_of(options, signal));
    paths[index_of(signal)] = std::exchange(route.endpoint.path, {});
    const auto found = std::ranges::find(routes, route);
    out.which[index_of(signal)] = static_cast<size_t>(found - routes.begin());
    if (found == routes.end()) routes.push_back(std::move(route));
  }
  for (const auto& route : routes) {
    if (route.protocol == config::OtlpProtocol::kGrpc) {
      out.transports.push_back(grpc_transport(route));
      continue;
    }
    PINTLE_ASSIGN_OR_RETURN(auto transport, http_transport(route, paths, clock));
    out.transports.push_back(std::move(transport));
  }
  return out;
}

// What is wrong with each signal, told as one: that one of them works again does not mend another.
class Health {
 public:
  explicit Health(std::function<void(bool ok, const std::string& detail)> told) : told_(std::move(told)) {}

  void changed(model::OtlpSignal signal, const std::string& problem) {
    const MutexLock lock(mu_);  // held while telling, so that the last word is the newest
    problems_[index_of(signal)] = problem;
    std::vector<std::string> bad;
    for (const auto one : model::kOtlpSignals)
      if (const auto& text = problems_[index_of(one)]; !text.empty())
        bad.push_back(fmt::format("{} can't be exported: {}", to_string(one), text));
    told_(bad.empty(), bad.empty() ? fmt::format("{} are exported again", to_string(signal)) : fmt::format("{}", fmt::join(bad, "; ")));
  }

 private:
  const std::function<void(bool ok, const std::string& detail)> told_;
  Mutex mu_;
  model::PerSignal<std::string> problems_ PINTLE_GUARDED_BY(mu_);
};

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
  list.reserve(attributes.size());
  for (auto& [name, value] : attributes) list.push_back({name, std::move(value)});
  return list;
}

Result<std::unique_ptr<telemetry::OtlpExporter>> make_otlp(OtlpInputs inputs) {
  const auto& otlp = inputs.config.pintle.otlp;
  PINTLE_ASSIGN_OR_RETURN(auto destinations, make_destinations(otlp, inputs.clock));
  telemetry::OtlpExporterOptions options{.sampling = otlp.sampling.value_or(1.0),
                                         .parent_based = otlp.parent_based.value_or(true),
                                         .traces = otlp.exports(model::OtlpSignal::kTraces),
                                         .logs = otlp.exports(model::OtlpSignal::kLogs)};
  auto& pipeline = options.pipeline;
  pipeline.origin = {.resource = otlp_resource(inputs.config, inputs.version, config::host_name().value_or(inputs.config.pintle.node_name),
                                               machine_id(), ::getpid()),
                     .version = inputs.version};
  if (otlp.exports(model::OtlpSignal::kMetrics)) pipeline.figures = std::move(inputs.figures);
  pipeline.pod_name = std::move(inputs.pod_name);
  pipeline.interval = otlp.interval.value_or(pipeline.interval);
  for (const auto signal : model::kOtlpSignals) {
    PINTLE_ASSIGN_OR_RETURN(const auto batching, batching_of(otlp, signal));
    pipeline.of(signal) = {.patience = batching.delay,
                           .most = static_cast<size_t>(batching.queue),
                           .batch = static_cast<size_t>(batching.size),
                           .give_up_after = batching.give_up_after};
  }
  pipeline.seed = std::random_device{}();
  pipeline.on_change = [health = std::make_shared<Health>(std::move(inputs.told))](
                           telemetry::OtlpSignal signal, const std::string& problem) { health->changed(signal, problem); };
  return std::make_unique<telemetry::OtlpExporter>(std::move(options), std::move(destinations), inputs.clock);
}

}  // namespace pintle::app
