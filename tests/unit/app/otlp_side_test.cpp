// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// From a configuration to a collector: addresses, prefixes, headers, who we say we are.
#include "app/otlp_side.h"

#include <map>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "fakes/agent/fake_agent_view.h"
#include "fakes/otlp/otlp_json.h"
#include "fakes/store/temp_dir.h"

using namespace pintle;

namespace {

struct Sent {
  std::vector<fakes::CollectorRequest> requests;
  std::vector<std::string> told;
};

// A span is told and one figure; then the exporter ends. What it told of itself.
std::vector<std::string> export_by(config::AgentConfig config) {
  const SystemClock clock;
  config.pintle.node_name = "n1";
  std::vector<std::string> told;
  auto exporter = app::make_otlp({.config = config,
                                  .clock = clock,
                                  .version = "9",
                                  .figures =
                                      [](telemetry::MetricWriter& out) {
                                        out.family("g", telemetry::MetricType::kGauge, "g");
                                        out.sample({}, uint64_t{1});
                                      },
                                  .pod_name = {},
                                  .told = [&](bool ok, const std::string& detail) { told.push_back((ok ? "ok " : "bad ") + detail); }});
  REQUIRE(exporter);
  fakes::FakeAgentView agent;
  (*exporter)->start(agent);
  (*exporter)->record({.context = (*exporter)->begin(std::nullopt), .name = "s"});
  (*exporter)->stop();
  return told;
}

Sent send(config::AgentConfig config, const std::function<std::unique_ptr<fakes::FakeCollector>()>& make, const std::string& endpoint) {
  const auto collector = make();
  config.pintle.otlp.endpoint = fmt::format(fmt::runtime(endpoint), collector->port());
  Sent sent;
  sent.told = export_by(std::move(config));
  sent.requests = collector->requests();
  return sent;
}

}  // namespace

TEST_CASE("HTTP: below the endpoint's path, with its headers") {
  config::AgentConfig config;
  config.pintle.otlp.headers = model::StringMap{{"Authorization", "Bearer x"}};
  const auto sent = send(config, [] { return fakes::FakeCollector::http(); }, "http://127.0.0.1:{}/otel/");
  REQUIRE(sent.requests.size() == 2);
  CHECK(sent.requests[0].path == "/otel/v1/traces");
  CHECK(sent.requests[1].path == "/otel/v1/metrics");
  CHECK(sent.requests[0].headers.at("authorization") == "Bearer x");
  CHECK(sent.requests[0].headers.at("accept") == "application/x-protobuf");
  CHECK(sent.told.empty());
}

TEST_CASE("gRPC: names of headers in small letters") {
  config::AgentConfig config;
  config.pintle.otlp.protocol = config::OtlpProtocol::kGrpc;
  config.pintle.otlp.headers = model::StringMap{{"Authorization", "Bearer x"}};
  const auto sent = send(config, [] { return fakes::FakeCollector::grpc(); }, "http://127.0.0.1:{}");
  REQUIRE(sent.requests.size() == 2);
  CHECK(sent.requests[0].headers.at("authorization") == "Bearer x");
}

TEST_CASE("only the signals asked for are sent") {
  config::AgentConfig config;
  config.pintle.otlp.signals = {false, true, true};
  const auto sent = send(config, [] { return fakes::FakeCollector::http(); }, "http://127.0.0.1:{}");
  REQUIRE(sent.requests.size() == 1);
  CHECK(sent.requests[0].signal == "metrics");
}

TEST_CASE("signals to collectors of their own") {
  const auto grpc = fakes::FakeCollector::grpc();
  const auto http = fakes::FakeCollector::http();
  config::AgentConfig config;
  auto& otlp = config.pintle.otlp;
  otlp.headers = model::StringMap{{"x-all", "1"}};
  auto& traces = otlp.own_of(model::OtlpSignal::kTraces);
  traces.endpoint = fmt::format("127.0.0.1:{}", grpc->port());
  traces.protocol = config::OtlpProtocol::kGrpc;
  traces.insecure = true;
  auto& metrics = otlp.own_of(model::OtlpSignal::kMetrics);
  metrics.endpoint = fmt::format("http://127.0.0.1:{}/as/it/is/v1/metrics", http->port());
  metrics.headers = model::StringMap{{"x-metrics", "2"}};
  CHECK(export_by(config).empty());
  REQUIRE(grpc->requests().size() == 1);
  CHECK(grpc->requests()[0].signal == "traces");
  CHECK(grpc->requests()[0].headers.at("x-all") == "1");
  REQUIRE(http->requests().size() == 1);
  CHECK(http->requests()[0].path == "/as/it/is/v1/metrics");
  CHECK(http->requests()[0].headers.at("x-metrics") == "2");
  CHECK_FALSE(http->requests()[0].headers.contains("x-all"));
}

TEST_CASE("JSON and compression as configured") {
  config::AgentConfig config;
  config.pintle.otlp.protocol = config::OtlpProtocol::kHttpJson;
  config.pintle.otlp.own_of(model::OtlpSignal::kMetrics).compression = config::OtlpCompression::kGzip;
  const auto sent = send(config, [] { return fakes::FakeCollector::http(); }, "http://127.0.0.1:{}");
  REQUIRE(sent.requests.size() == 2);
  for (const auto& request : sent.requests) {
    CHECK(request.headers.at("content-type") == "application/json");
    CHECK(fakes::to_json(request).size() == 1);
    CHECK(request.headers.contains("content-encoding") == (request.signal == "metrics"));
  }
}

TEST_CASE("over TLS: the authority, our certificate, and each signal's own") {
  const fakes::Certificate server("collector", "IP:127.0.0.1"), client("agent", ""), other("other", "IP:127.0.0.1");
  const auto collector = fakes::FakeCollector::https(server, &client);
  const fakes::TempDir dir;
  const auto write = [&](const char* name, const std::string& text) {
    const auto path = dir / name;
    fakes::write_text(path, text);
    return path;
  };
  config::AgentConfig config;
  auto& otlp = config.pintle.otlp;
  otlp.endpoint = fmt::format("https://127.0.0.1:{}", collector->port());
  otlp.ca_file = write("ca.pem", server.certificate_pem());
  otlp.certificate_file = write("client.pem", client.certificate_pem());
  otlp.key_file = write("client.key", client.key_pem());
  otlp.compression = config::OtlpCompression::kGzip;
  CHECK(export_by(config).empty());
  REQUIRE(collector->requests().size() == 2);
  for (const auto& request : collector->requests()) CHECK(request.client == "agent");

  // One signal believes another authority: it alone fails.
  otlp.own_of(model::OtlpSignal::kTraces).ca_file = write("other.pem", other.certificate_pem());
  const auto told = export_by(config);
  REQUIRE(told.size() == 1);
  CHECK(told[0].starts_with("bad traces can't be exported: "));
  CHECK(told[0].find("certificate is not accepted") != std::string::npos);
  CHECK(collector->requests().size() == 3);
  otlp.own_of(model::OtlpSignal::kTraces).skip_verification = true;
  CHECK(export_by(config).empty());
  CHECK(collector->requests().size() == 5);
}

TEST_CASE("signals that differ in their path alone share a connection") {
  const auto collector = fakes::FakeCollector::http();
  config::AgentConfig config;
  config.pintle.otlp.endpoint = fmt::format("http://127.0.0.1:{}", collector->port());
  config.pintle.otlp.own_of(model::OtlpSignal::kTraces).endpoint = config.pintle.otlp.endpoint + "/own/v1/traces";
  CHECK(export_by(config).empty());
  const auto requests = collector->requests();
  REQUIRE(requests.size() == 2);
  CHECK(requests[0].path == "/own/v1/traces");
  CHECK(requests[1].path == "/v1/metrics");
  CHECK(requests[0].peer == requests[1].peer);
}

TEST_CASE("how it goes is told when it changes") {
  config::AgentConfig config;
  config.pintle.otlp.signals = {true, false, true};
  const auto refusing = [] {
    auto collector = fakes::FakeCollector::http();
    collector->answer_next({.status = 401, .message = "who are you"});
    return collector;
  };
  const auto sent = send(config, refusing, "http://127.0.0.1:{}");
  CHECK(sent.told == std::vector<std::string>{"bad traces can't be exported: HTTP status 401: who are you"});
}

TEST_CASE("what is wrong is told of each signal, together") {
  config::AgentConfig config;
  const auto refusing = [] {
    auto collector = fakes::FakeCollector::http();
    collector->answer_next({.status = 401, .message = "one"});
    collector->answer_next({.status = 401, .message = "two"});
    return collector;
  };
  const auto sent = send(config, refusing, "http://127.0.0.1:{}");
  REQUIRE(sent.told.size() == 2);
  CHECK(sent.told[1] == "bad traces can't be exported: HTTP status 401: one; metrics can't be exported: HTTP status 401: two");
}

TEST_CASE("who we say we are, and what goes over it") {
  config::AgentConfig config;
  config.pintle.node_name = "n1";
  const auto value = [&](const std::string& key) {
    for (const auto& attribute : app::otlp_resource(config, "9", "host", "id", 7))
      if (attribute.key == key) return attribute.value;
    return ports::AttributeValue("<none>");
  };
  CHECK(value("service.name") == ports::AttributeValue("pintled"));
  CHECK(value("service.version") == ports::AttributeValue("9"));
  CHECK(value("k8s.node.name") == ports::AttributeValue("n1"));
  CHECK(value("host.name") == ports::AttributeValue("host"));
  CHECK(value("process.pid") == ports::AttributeValue(int64_t{7}));
  config.pintle.otlp.resource_attributes = {{"host.name", "other"}, {"service.name", "from attributes"}, {"team", "core"}};
  CHECK(value("host.name") == ports::AttributeValue("other"));
  CHECK(value("team") == ports::AttributeValue("core"));
  CHECK(value("service.name") == ports::AttributeValue("from attributes"));
  config.pintle.otlp.service_name = "by name";
  CHECK(value("service.name") == ports::AttributeValue("by name"));
}
