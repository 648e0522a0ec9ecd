// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "config/otlp.h"

#include <map>

#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"
#include "config/config.h"

namespace pintle::config {
namespace {

using namespace std::chrono_literals;
using model::OtlpSignal;

const std::string kHead = "apiVersion: pintle.dev/v1\nkind: PintleConfiguration\n";

struct Taken {
  OtlpOptions options;
  std::vector<std::string> warnings;
};
Taken take(OtlpOptions options, const std::map<std::string, std::string>& variables) {
  Taken taken{std::move(options), {}};
  const auto get = [&](const std::string& name) -> std::optional<std::string> {
    const auto found = variables.find(name);
    return found == variables.end() ? std::nullopt : std::optional(found->second);
  };
  take_otlp_environment(taken.options, get, taken.warnings);
  return taken;
}

}  // namespace

TEST_CASE("otlp: every field, and back again") {
  const auto config = parse(kHead + R"(pintle:
  otlp:
    endpoint: https://collector.example/otel
    protocol: http/protobuf
    compression: gzip
    headers: {authorization: Bearer x}
    tls: {caFile: /ca.pem, certificateFile: /c.pem, keyFile: /k.pem, skipVerification: true}
    timeout: 3s
    giveUpAfter: 2m
    batch: {delay: 0s, size: 100, queue: 1000}
    interval: 15s
    signals: [traces, logs]
    sampling: 0.25
    parentBased: false
    serviceName: agent
    resourceAttributes: {deployment.environment.name: lab}
    traces: {endpoint: 'collector:4317', protocol: grpc, insecure: true, headers: {x-tenant: seven}, timeout: 1s,
             compression: none, giveUpAfter: 0s, batch: {queue: 50, size: 50}}
    metrics: {protocol: http/json, compression: gzip}
    logs: {endpoint: 'https://logs.example/in', headers: {}, tls: {caFile: /l.pem, skipVerification: false}}
)",
                            "p.yaml");
  REQUIRE((config ? std::string() : config.error().context).empty());
  const auto& otlp = config->pintle.otlp;
  CHECK(otlp.enabled());
  CHECK(otlp.protocol == OtlpProtocol::kHttp);
  CHECK(otlp.headers->at("authorization") == "Bearer x");
  CHECK(otlp.ca_file == "/ca.pem");
  CHECK(otlp.skip_verification == true);
  CHECK(otlp.timeout == 3s);
  CHECK(otlp.interval == 15s);
  CHECK(otlp.exports(OtlpSignal::kTraces));
  CHECK_FALSE(otlp.exports(OtlpSignal::kMetrics));
  CHECK(otlp.exports(OtlpSignal::kLogs));
  const auto& traces = otlp.own_of(OtlpSignal::kTraces);
  CHECK(traces.protocol == OtlpProtocol::kGrpc);
  CHECK(traces.insecure == true);
  CHECK(otlp.compression == OtlpCompression::kGzip);
  CHECK(traces.compression == OtlpCompression::kNone);
  CHECK(otlp.own_of(OtlpSignal::kMetrics).protocol == OtlpProtocol::kHttpJson);
  CHECK(traces.timeout == 1s);
  CHECK(otlp.own_of(OtlpSignal::kLogs).headers == model::StringMap{});
  CHECK(otlp.sampling == 0.25);
  CHECK(otlp.parent_based == false);
  CHECK(batching_of(otlp, OtlpSignal::kTraces).value() == OtlpBatching{.delay = 0s, .size = 50, .queue = 50, .give_up_after = 0s});
  CHECK(batching_of(otlp, OtlpSignal::kLogs).value() == OtlpBatching{.delay = 0s, .size = 100, .queue = 1000, .give_up_after = 2min});
  CHECK(otlp.service_name == "agent");
  CHECK(parse(describe(*config), "described").value() == *config);
  CHECK_FALSE(default_config().pintle.otlp.enabled());
}

TEST_CASE("otlp: what the documentation shows is read") {
  const auto text = read_file(std::string(DEPLOY_DIR) + "/../docs/observability.md");
  REQUIRE(text);
  int shown = 0;
  for (size_t at = text->find("```yaml\n"); at != std::string::npos; at = text->find("```yaml\n", at + 1)) {
    const size_t begin = at + 8, end = text->find("```", begin);
    const auto config = parse(text->substr(begin, end - begin), "observability.md");
    CHECK((config ? std::string() : config.error().context).empty());
    CHECK((config && config->pintle.otlp.enabled()));
    ++shown;
  }
  CHECK(shown == 3);
}

TEST_CASE("otlp: mistakes name the field and the fix") {
  struct Row {
    std::string text, error;
  };
  const Row rows[] = {
      {"{endpoint: collector}", "pintle.otlp.endpoint: 'collector' is no endpoint; write http://127.0.0.1:4318"},
      {"{endpoint: 'ftp://x:1', protocol: grpc}", "pintle.otlp.endpoint: 'ftp://x:1' is no endpoint; write http://127.0.0.1:4317"},
      {"{endpoint: 'https://x:4317', protocol: grpc}", "grpc is spoken without TLS only"},
      {"{endpoint: 'http://x:99999'}", "'99999' is no port"},
      {"{endpoint: 'http://x/?a=b'}", "is no endpoint"},
      {"{endpoint: 'http://user:secret@x'}", "pintle.otlp.endpoint: an endpoint takes no credentials; send them by headers"},
      {"{protocol: http/xml}", "pintle.otlp.protocol: 'http/xml' is not one of grpc, http/protobuf, http/json"},
      {"{compression: zstd}", "pintle.otlp.compression: 'zstd' is not one of gzip, none"},
      {"{logs: {compression: zip}}", "pintle.otlp.logs.compression: 'zip' is not one of gzip, none"},
      {"{signals: [spans]}", "pintle.otlp.signals[0]: 'spans' is not one of traces, metrics, logs"},
      {"{sampling: 1.5}", "1.5 is not a share; use 0.0 to 1.0"},
      {"{timeout: 1ms}", "is not within 100ms and 1h0m0s"},
      {"{tls: {certificateFile: /c.pem}}", "certificateFile and keyFile go together"},
      {"{tls: {caFile: ca.pem}}", "'ca.pem' is not an absolute path"},
      {"{headers: {\"a b\": c}}", "'a b' can't be sent as a header"},
      {"{headers: {a: \"b\\nc: d\"}}", "'a' can't be sent as a header"},
      {"{endpont: x}", "did you mean 'endpoint'?"},
      {"{endpoint: 'x:4317', protocol: grpc}",
       "pintle.otlp.endpoint: 'x:4317': without a scheme it means TLS unless insecure is true, and grpc is spoken"},
      {"{traces: {endpoint: collector}}", "pintle.otlp.traces.endpoint: 'collector' is no endpoint; write http://127.0.0.1:4318"},
      {"{endpoint: 'https://x', logs: {protocol: grpc}}", "pintle.otlp.logs.protocol: 'https://x': grpc is spoken without TLS only"},
      {"{endpoint: 'https://x', metrics: {tls: {keyFile: /k.pem}}}", "pintle.otlp.metrics.tls: certificateFile and keyFile go together"},
      {"{traces: {timeout: 2h}}", "pintle.otlp.traces.timeout: 2h0m0s is not within 100ms and 1h0m0s"},
      {"{traces: {protocol: grcp}}", "pintle.otlp.traces.protocol: 'grcp' is not one of grpc, http/protobuf"},
      {"{logs: {interval: 1s}}", "pintle.otlp.logs.interval"},
      {"{giveUpAfter: 10ms}", "pintle.otlp.giveUpAfter: 10ms is not within 100ms and 1h0m0s, nor 0s, which is for ever"},
      {"{batch: {delay: 2h}}", "pintle.otlp.batch.delay: 2h0m0s is not within 0s and 1h0m0s"},
      {"{batch: {queue: 0}}", "pintle.otlp.batch.queue: 0 is not 1 or more"},
      {"{logs: {batch: {size: -1}}}", "pintle.otlp.logs.batch.size: -1 is not 1 or more"},
      {"{metrics: {batch: {size: 1}}}", "pintle.otlp.metrics.batch"},
      {"{batch: {size: 3000}}", "pintle.otlp.batch.size: 3000 is more than the 2048 that may wait (batch.queue)"},
      {"{batch: {queue: 10}, logs: {batch: {size: 11}}}", "pintle.otlp.logs.batch.size: 11 is more than the 10 that may wait"},
      {"{parentBased: maybe}", "pintle.otlp.parentBased"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    const auto config = parse(kHead + "pintle: {otlp: " + row.text + "}\n", "p.yaml");
    REQUIRE_FALSE(config);
    INFO(config.error().context);
    CHECK(config.error().context.find(row.error) != std::string::npos);
    CHECK(config.error().context.find("secret") == std::string::npos);
  }
}

TEST_CASE("otlp: endpoints") {
  struct Row {
    std::string text;
    OtlpProtocol protocol;
    OtlpEndpoint expected;
    bool insecure = false;
  };
  using enum OtlpProtocol;
  const Row rows[] = {
      {"http://127.0.0.1:4318", kHttp, {false, "127.0.0.1", 4318, ""}},
      {"http://collector", kHttp, {false, "collector", 80, ""}},
      {"https://collector.example/otel/", kHttp, {true, "collector.example", 443, "/otel/"}},
      {"http://[fd00::1]:4318/a/b", kHttp, {false, "fd00::1", 4318, "/a/b"}},
      {"http://127.0.0.1:4317", kGrpc, {false, "127.0.0.1", 4317, ""}},
      {"http://collector:4317/", kGrpc, {false, "collector", 4317, ""}},
      {"collector:4317", kGrpc, {false, "collector", 4317, ""}, true},
      {"[::1]", kGrpc, {false, "::1", 4317, ""}, true},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK(parse_otlp_endpoint(row.text, row.protocol, row.insecure).value() == row.expected);
  }
  CHECK_FALSE(parse_otlp_endpoint("collector:4317", kHttp, true));
  CHECK_FALSE(parse_otlp_endpoint("collector:4317", kGrpc, false));         // TLS
  CHECK_FALSE(parse_otlp_endpoint("https://collector:4317", kGrpc, true));  // the scheme decides
  CHECK_FALSE(parse_otlp_endpoint("http://x/path", kGrpc, false));
  CHECK_FALSE(parse_otlp_endpoint("http://", kHttp, false));
  CHECK_FALSE(parse_otlp_endpoint("http://[::1", kHttp, false));
  CHECK_FALSE(parse_otlp_endpoint("http://[::1]x", kHttp, false));
  CHECK_FALSE(parse_otlp_endpoint("http://a:1:2", kHttp, false));
}

TEST_CASE("otlp: where each signal goes") {
  OtlpOptions options;
  options.endpoint = "http://all:4318/otel/";
  options.headers = model::StringMap{{"a", "b"}};
  options.ca_file = "/all.pem";
  options.certificate_file = "/c.pem";
  options.key_file = "/k.pem";
  const auto route = [&](OtlpSignal signal) { return route_of(options, signal).value(); };
  CHECK(route(OtlpSignal::kTraces).endpoint.path == "/otel/v1/traces");
  CHECK(route(OtlpSignal::kMetrics).endpoint.path == "/otel/v1/metrics");
  CHECK(route(OtlpSignal::kLogs).endpoint.path == "/otel/v1/logs");
  CHECK(route(OtlpSignal::kLogs).timeout == 10s);

  // Of one signal: as it is.
  auto& traces = options.own_of(OtlpSignal::kTraces);
  traces.endpoint = "https://traces/in/";
  CHECK(route(OtlpSignal::kTraces).endpoint == OtlpEndpoint{true, "traces", 443, "/in/"});
  CHECK(route(OtlpSignal::kTraces).headers == *options.headers);
  traces.endpoint = "https://traces";
  CHECK(route(OtlpSignal::kTraces).endpoint.path == "/");
  CHECK(otlp_destinations(options) ==
        "traces to https://traces (http/protobuf), metrics to http://all:4318/otel/ (http/protobuf), logs to http://all:4318/otel/ "
        "(http/protobuf)");

  // Its own goes over that of all, and leaves the rest.
  traces.headers = model::StringMap{};
  traces.ca_file = "/t.pem";
  traces.timeout = 2s;
  traces.compression = OtlpCompression::kGzip;
  CHECK(route(OtlpSignal::kTraces).compression == OtlpCompression::kGzip);
  CHECK(route(OtlpSignal::kLogs).compression == OtlpCompression::kNone);
  const auto own = route(OtlpSignal::kTraces);
  CHECK(own.headers.empty());
  CHECK(own.ca_file == "/t.pem");
  CHECK(own.certificate_file == "/c.pem");
  CHECK(own.timeout == 2s);
  CHECK(route(OtlpSignal::kLogs).ca_file == "/all.pem");

  // With gRPC no path follows.
  auto& logs = options.own_of(OtlpSignal::kLogs);
  logs.endpoint = "logs:1";
  logs.protocol = OtlpProtocol::kGrpc;
  CHECK_FALSE(route_of(options, OtlpSignal::kLogs));
  options.insecure = true;
  CHECK(route(OtlpSignal::kLogs).endpoint == OtlpEndpoint{false, "logs", 1, ""});

  // A signal without an endpoint is not exported.
  options.endpoint.clear();
  CHECK(options.enabled());
  CHECK_FALSE(options.exports(OtlpSignal::kMetrics));
  options.signals = {false, true, false};
  CHECK_FALSE(options.enabled());
}

TEST_CASE("otlp: the environment holds where the file is silent") {
  const std::map<std::string, std::string> all = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4317"},
                                                  {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
                                                  {"OTEL_EXPORTER_OTLP_HEADERS", "a=b, c = d%20e"},
                                                  {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/env.pem"},
                                                  {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c.pem"},
                                                  {"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k.pem"},
                                                  {"OTEL_EXPORTER_OTLP_TIMEOUT", "2500"},
                                                  {"OTEL_SERVICE_NAME", "from-env"},
                                                  {"OTEL_RESOURCE_ATTRIBUTES", "team=core,rack=7"}};
  const auto taken = take({}, all);
  CHECK(taken.warnings.empty());
  CHECK(taken.options.endpoint == "http://env:4317");
  CHECK(taken.options.protocol == OtlpProtocol::kGrpc);
  CHECK(taken.options.headers == model::StringMap{{"a", "b"}, {"c", "d e"}});
  CHECK(taken.options.ca_file == "/env.pem");
  CHECK(taken.options.certificate_file == "/c.pem");
  CHECK(taken.options.key_file == "/k.pem");
  CHECK(taken.options.timeout == 2500ms);
  CHECK(taken.options.service_name == "from-env");
  CHECK(taken.options.resource_attributes == model::StringMap{{"rack", "7"}, {"team", "core"}});

  OtlpOptions file;
  file.endpoint = "http://file:4318";
  file.protocol = OtlpProtocol::kHttp;
  file.headers = model::StringMap{{"x", "y"}};
  file.timeout = 1s;
  file.ca_file = "/file.pem";
  file.certificate_file = "/fc.pem";
  file.key_file = "/fk.pem";
  file.service_name = "from-file";
  file.resource_attributes = {{"rack", "1"}};
  auto expected = file;
  expected.resource_attributes = {{"rack", "1"}, {"team", "core"}};
  CHECK(take(file, all).options == expected);
}

TEST_CASE("otlp: variables of one signal go over those of all, and the file over both") {
  const std::map<std::string, std::string> variables = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://all:4318"},
                                                        {"OTEL_EXPORTER_OTLP_HEADERS", "a=b"},
                                                        {"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "traces:4317"},
                                                        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"},
                                                        {"OTEL_EXPORTER_OTLP_TRACES_INSECURE", "True"},
                                                        {"OTEL_EXPORTER_OTLP_METRICS_HEADERS", "c=d"},
                                                        {"OTEL_EXPORTER_OTLP_METRICS_TIMEOUT", "100"},
                                                        {"OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "http/json"},
                                                        {"OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"},
                                                        {"OTEL_EXPORTER_OTLP_LOGS_COMPRESSION", "none"},
                                                        {"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://logs/in"},
                                                        {"OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE", "/l.pem"},
                                                        {"OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "/lc.pem"},
                                                        {"OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY", "/lk.pem"}};
  const auto taken = take({}, variables);
  CHECK(taken.warnings.empty());
  const auto traces = route_of(taken.options, OtlpSignal::kTraces).value();
  CHECK(traces.protocol == OtlpProtocol::kGrpc);
  CHECK(traces.endpoint == OtlpEndpoint{false, "traces", 4317, ""});
  CHECK(traces.headers == model::StringMap{{"a", "b"}});
  const auto metrics = route_of(taken.options, OtlpSignal::kMetrics).value();
  CHECK(metrics.endpoint == OtlpEndpoint{false, "all", 4318, "/v1/metrics"});
  CHECK(metrics.headers == model::StringMap{{"c", "d"}});
  CHECK(metrics.timeout == 100ms);
  CHECK(metrics.protocol == OtlpProtocol::kHttpJson);
  CHECK(metrics.compression == OtlpCompression::kGzip);
  const auto logs = route_of(taken.options, OtlpSignal::kLogs).value();
  CHECK(logs.endpoint == OtlpEndpoint{true, "logs", 443, "/in"});
  CHECK(logs.compression == OtlpCompression::kNone);
  CHECK(logs.ca_file == "/l.pem");
  CHECK(logs.certificate_file == "/lc.pem");
  CHECK(logs.key_file == "/lk.pem");

  OtlpOptions file;
  file.endpoint = "http://file:4318";
  file.protocol = OtlpProtocol::kHttp;
  file.headers = model::StringMap{};
  const auto over = take(file, variables);
  CHECK(over.warnings.empty());
  CHECK(over.options.own_of(OtlpSignal::kTraces).endpoint.empty());
  CHECK(over.options.own_of(OtlpSignal::kMetrics).headers == std::nullopt);
  CHECK(route_of(over.options, OtlpSignal::kLogs).value().endpoint == OtlpEndpoint{false, "file", 4318, "/v1/logs"});

  // One signal's alone switches that one on.
  const auto one = take({}, {{"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://m:1/x"}});
  CHECK(one.options.enabled());
  CHECK(one.options.exports(OtlpSignal::kMetrics));
  CHECK_FALSE(one.options.exports(OtlpSignal::kTraces));
}

TEST_CASE("otlp: OTEL_TRACES_EXPORTER and its like switch a signal off") {
  struct Row {
    std::string value;
    bool exported;
    size_t warnings;
  };
  const Row rows[] = {{"otlp", true, 0}, {"none", false, 0},  {"console, otlp", true, 1}, {"prometheus", false, 1},
                      {"", true, 0},     {"my-own", true, 1}, {"none,my-own", false, 1}};
  for (const auto& row : rows) {
    INFO(row.value);
    const auto taken = take({}, {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"}, {"OTEL_METRICS_EXPORTER", row.value}});
    CHECK(taken.options.exports(OtlpSignal::kMetrics) == row.exported);
    CHECK(taken.options.exports(OtlpSignal::kTraces));
    CHECK(taken.options.exports(OtlpSignal::kLogs));
    CHECK(taken.warnings.size() == row.warnings);
  }
  OtlpOptions file;
  file.endpoint = "http://file:4318";
  file.signals = {true, true, false};
  CHECK(take(file, {{"OTEL_TRACES_EXPORTER", "none"}, {"OTEL_LOGS_EXPORTER", "otlp"}}).options == file);  // the file's word
  CHECK_FALSE(take({}, {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"},
                        {"OTEL_TRACES_EXPORTER", "none"},
                        {"OTEL_METRICS_EXPORTER", "none"},
                        {"OTEL_LOGS_EXPORTER", "none"}})
                  .options.enabled());
}

TEST_CASE("otlp: nothing is exported unless somebody asks for it") {
  CHECK_FALSE(take({}, {}).options.enabled());
  CHECK(take({}, {{"OTEL_SERVICE_NAME", "x"}}).options == OtlpOptions{});
  CHECK_FALSE(take({}, {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"}, {"OTEL_SDK_DISABLED", "True"}}).options.enabled());
  OtlpOptions file;
  file.endpoint = "http://file:4318";
  CHECK(take(file, {{"OTEL_SDK_DISABLED", "true"}}).options == file);  // the file's word
  file = {};
  file.own_of(OtlpSignal::kTraces).endpoint = "http://file:4318";
  CHECK(take(file, {{"OTEL_SDK_DISABLED", "true"}, {"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"}}).options == file);
}

TEST_CASE("otlp: a mistake in the environment is a warning, and names the variable but no secret") {
  const auto endpoint = take({}, {{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector"}});
  CHECK_FALSE(endpoint.options.enabled());
  REQUIRE(endpoint.warnings.size() == 1);
  CHECK(endpoint.warnings[0].starts_with("environment: OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' is no endpoint"));
  const auto others = take({}, {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"},
                                {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/xml"},
                                {"OTEL_EXPORTER_OTLP_HEADERS", "a=b,secret%0aHost: x"},
                                {"OTEL_RESOURCE_ATTRIBUTES", "k=%zz"}});
  CHECK(others.options.enabled());
  CHECK(others.options.protocol == std::nullopt);
  REQUIRE(others.warnings.size() == 3);
  CHECK(others.warnings[1] == "environment: OTEL_EXPORTER_OTLP_HEADERS: item 2 is not KEY=VALUE; ignored");
}

TEST_CASE("otlp: each variable that can't be used is told, and the others hold") {
  struct Row {
    std::map<std::string, std::string> variables;
    std::string warning;
  };
  const Row rows[] = {
      {{{"OTEL_EXPORTER_OTLP_TIMEOUT", "10s"}}, "OTEL_EXPORTER_OTLP_TIMEOUT: '10s' is not a number of milliseconds within"},
      {{{"OTEL_EXPORTER_OTLP_LOGS_TIMEOUT", "-1"}}, "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT: '-1' is not a number of milliseconds within"},
      {{{"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http"}}, "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http' is not one of grpc, http/protobuf"},
      {{{"OTEL_EXPORTER_OTLP_COMPRESSION", "br"}}, "OTEL_EXPORTER_OTLP_COMPRESSION: 'br' is not one of gzip, none"},
      {{{"OTEL_EXPORTER_OTLP_INSECURE", "yes"}}, "OTEL_EXPORTER_OTLP_INSECURE: 'yes' is not true or false"},
      {{{"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k"}}, "OTEL_EXPORTER_OTLP_CLIENT_KEY: OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE is missing"},
      {{{"OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "/c"}},
       "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE: OTEL_EXPORTER_OTLP_TRACES_"},
      {{{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "collector"}}, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'collector' is no endpoint"},
      {{{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://x:4317"}, {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"}},
       "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'https://x:4317': grpc is spoken without TLS only"},
      {{{"OTEL_EXPORTER_OTLP_TRACES_HEADERS", "secret"}}, "OTEL_EXPORTER_OTLP_TRACES_HEADERS: item 1 is not KEY=VALUE"},
  };
  for (const auto& row : rows) {
    auto variables = row.variables;
    variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://env:4318";
    const auto taken = take({}, variables);
    REQUIRE_FALSE(taken.warnings.empty());
    INFO(taken.warnings[0]);
    CHECK(taken.warnings[0].starts_with("environment: " + row.warning));
    CHECK(taken.warnings[0].ends_with("; ignored"));
    for (const auto signal : model::kOtlpSignals) CHECK(route_of(taken.options, signal));
  }
  // Undone from the more particular on; what the file says is left alone.
  OtlpOptions file;
  file.endpoint = "http://file:4318/otel";
  const auto undone = take(file, {{"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"}});
  CHECK(undone.options == file);
  REQUIRE(undone.warnings.size() == 1);
  CHECK(undone.warnings[0].starts_with("environment: OTEL_EXPORTER_OTLP_PROTOCOL: 'http://file:4318/otel' is no endpoint"));
  // Half a pair is made whole by the other half of all.
  const auto paired = take({}, {{"OTEL_EXPORTER_OTLP_ENDPOINT", "https://env"},
                                {"OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c"},
                                {"OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k"},
                                {"OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE", "/lc"}});
  CHECK(paired.warnings.empty());
  CHECK(route_of(paired.options, OtlpSignal::kLogs).value().certificate_file == "/lc");
  CHECK(route_of(paired.options, OtlpSignal::kLogs).value().key_file == "/k");
}

TEST_CASE("otlp: choices are read in capitals too, and a timeout of zero is none") {
  const auto taken = take({}, {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"},
                               {"OTEL_EXPORTER_OTLP_PROTOCOL", "HTTP/JSON"},
                               {"OTEL_EXPORTER_OTLP_COMPRESSION", "Gzip"},
                               {"OTEL_EXPORTER_OTLP_TIMEOUT", "0"},
                               {"OTEL_LOGS_EXPORTER", "NONE"}});
  CHECK(taken.warnings.empty());
  CHECK(taken.options.protocol == OtlpProtocol::kHttpJson);
  CHECK(taken.options.compression == OtlpCompression::kGzip);
  CHECK(taken.options.timeout == 1h);  // the longest there is
  CHECK_FALSE(taken.options.exports(OtlpSignal::kLogs));
}

TEST_CASE("otlp: OTEL_TRACES_SAMPLER and its argument") {
  struct Row {
    std::string sampler, argument;
    std::optional<double> share;
    std::optional<bool> parent_based;
    std::string warning = {};
  };
  const Row rows[] = {
      {"", "", {}, {}},
      {"always_on", "", 1, false},
      {"always_off", "", 0, false},
      {"traceidratio", "0.25", 0.25, false},
      {"traceidratio", "", 1, false},
      {"parentbased_always_on", "", 1, true},
      {"parentbased_always_off", "", 0, true},
      {"parentbased_traceidratio", "1e-3", 0.001, true},
      {"ParentBased_TraceIdRatio", "0", 0, true},
      {"traceidratio", "1.5", 1, false, "OTEL_TRACES_SAMPLER_ARG: '1.5' is not a share; use 0.0 to 1.0; ignored"},
      {"traceidratio", "-0.1", 1, false, "OTEL_TRACES_SAMPLER_ARG: '-0.1' is not a share; use 0.0 to 1.0; ignored"},
      {"parentbased_traceidratio", "half", 1, true, "OTEL_TRACES_SAMPLER_ARG: 'half' is not a share; use 0.0 to 1.0; ignored"},
      {"traceidratio", "nan", 1, false, "OTEL_TRACES_SAMPLER_ARG: 'nan' is not a share; use 0.0 to 1.0; ignored"},
      {"always_on", "0.5", 1, false, "OTEL_TRACES_SAMPLER_ARG: always_on takes no argument; ignored"},
      {"", "0.5", {}, {}, "OTEL_TRACES_SAMPLER_ARG: OTEL_TRACES_SAMPLER is not set; ignored"},
      {"jaeger_remote",
       "endpoint=http://x:1",
       {},
       {},
       "OTEL_TRACES_SAMPLER: 'jaeger_remote' is no sampler here, only always_on, always_off, traceidratio, parentbased_always_on, "
       "parentbased_always_off, parentbased_traceidratio; ignored"},
  };
  for (const auto& row : rows) {
    INFO(row.sampler << " " << row.argument);
    const std::map<std::string, std::string> variables = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"},
                                                          {"OTEL_TRACES_SAMPLER", row.sampler},
                                                          {"OTEL_TRACES_SAMPLER_ARG", row.argument}};
    const auto taken = take({}, variables);
    CHECK(taken.options.sampling == row.share);
    CHECK(taken.options.parent_based == row.parent_based);
    CHECK(taken.warnings == (row.warning.empty() ? std::vector<std::string>{} : std::vector<std::string>{"environment: " + row.warning}));
    // A sampler is one thing: where the file says a part of it, all of it is the file's.
    OtlpOptions file;
    file.sampling = 0.5;
    CHECK(take(file, variables).options.sampling == 0.5);
    CHECK(take(file, variables).options.parent_based == std::nullopt);
    file.sampling.reset();
    file.parent_based = false;
    CHECK(take(file, variables).options.sampling == std::nullopt);
  }
}

TEST_CASE("otlp: OTEL_BSP_, OTEL_BLRP_ and OTEL_METRIC_EXPORT_") {
  struct Row {
    std::map<std::string, std::string> variables;
    OtlpSignal signal;
    OtlpBatching expected;
    std::string warning = {};
  };
  using enum OtlpSignal;
  const OtlpBatching spans{.delay = 1s, .size = 512, .queue = 2048, .give_up_after = 5min};
  const OtlpBatching records{.delay = 1s, .size = 512, .queue = 4096, .give_up_after = 5min};
  const auto with = [](OtlpBatching out, auto change) {
    change(out);
    return out;
  };
  const Row rows[] = {
      {{}, kTraces, spans},
      {{{"OTEL_BSP_SCHEDULE_DELAY", "5000"}}, kTraces, with(spans, [](auto& of) { of.delay = 5s; })},
      {{{"OTEL_BSP_SCHEDULE_DELAY", "0"}}, kTraces, with(spans, [](auto& of) { of.delay = 0s; })},
      {{{"OTEL_BSP_SCHEDULE_DELAY", "5000"}}, kLogs, records},
      {{{"OTEL_BSP_MAX_QUEUE_SIZE", "100"}}, kTraces, with(spans, [](auto& of) { of.size = of.queue = 100; })},
      {{{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2048"}}, kTraces, with(spans, [](auto& of) { of.size = 2048; })},
      {{{"OTEL_BSP_EXPORT_TIMEOUT", "30000"}}, kTraces, with(spans, [](auto& of) { of.give_up_after = 30s; })},
      {{{"OTEL_BSP_EXPORT_TIMEOUT", "0"}}, kTraces, with(spans, [](auto& of) { of.give_up_after = 0s; })},
      {{{"OTEL_BLRP_SCHEDULE_DELAY", "20"}, {"OTEL_BLRP_MAX_QUEUE_SIZE", "10"}, {"OTEL_BLRP_MAX_EXPORT_BATCH_SIZE", "5"}},
       kLogs,
       {.delay = 20ms, .size = 5, .queue = 10, .give_up_after = 5min}},
      {{{"OTEL_BLRP_EXPORT_TIMEOUT", "500"}}, kLogs, with(records, [](auto& of) { of.give_up_after = 500ms; })},
      {{{"OTEL_METRIC_EXPORT_TIMEOUT", "15000"}}, kMetrics, with(spans, [](auto& of) { of.give_up_after = 15s; })},
      {{{"OTEL_BSP_SCHEDULE_DELAY", "-1"}},
       kTraces,
       spans,
       "OTEL_BSP_SCHEDULE_DELAY: '-1' is not a number of milliseconds within 0 and 3600000; ignored"},
      {{{"OTEL_BSP_SCHEDULE_DELAY", "5s"}},
       kTraces,
       spans,
       "OTEL_BSP_SCHEDULE_DELAY: '5s' is not a number of milliseconds within 0 and 3600000; ignored"},
      {{{"OTEL_BSP_EXPORT_TIMEOUT", "7"}},
       kTraces,
       spans,
       "OTEL_BSP_EXPORT_TIMEOUT: '7' is not a number of milliseconds within 100 and 3600000; ignored"},
      {{{"OTEL_BLRP_MAX_QUEUE_SIZE", "0"}}, kLogs, records, "OTEL_BLRP_MAX_QUEUE_SIZE: '0' is not a number of 1 or more; ignored"},
      {{{"OTEL_BLRP_MAX_QUEUE_SIZE", "4294967296"}},
       kLogs,
       records,
       "OTEL_BLRP_MAX_QUEUE_SIZE: '4294967296' is not a number of 1 or more; ignored"},
      {{{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "2049"}},
       kTraces,
       spans,
       "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: 2049 is more than the 2048 that may wait; ignored"},
      {{{"OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "200"}, {"OTEL_BSP_MAX_QUEUE_SIZE", "100"}},
       kTraces,
       with(spans, [](auto& of) { of.size = of.queue = 100; }),
       "OTEL_BSP_MAX_EXPORT_BATCH_SIZE: 200 is more than the 100 that may wait; ignored"},
      {{{"OTEL_METRIC_EXPORT_INTERVAL", "0"}},
       kMetrics,
       spans,
       "OTEL_METRIC_EXPORT_INTERVAL: '0' is not a number of milliseconds within 100 and 3600000; ignored"},
  };
  for (const auto& row : rows) {
    auto variables = row.variables;
    INFO((variables.empty() ? std::string("none") : variables.begin()->first + "=" + variables.begin()->second));
    variables["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://env:4318";
    const auto taken = take({}, variables);
    CHECK(batching_of(taken.options, row.signal).value() == row.expected);
    CHECK(taken.options.interval == std::nullopt);
    CHECK(taken.warnings == (row.warning.empty() ? std::vector<std::string>{} : std::vector<std::string>{"environment: " + row.warning}));
    // The file's word, of all signals or of one, goes over any.
    OtlpOptions file;
    file.batch_delay = 3s;
    file.batch_size = 7;
    file.batch_queue = 8;
    file.give_up_after = 9s;
    CHECK(take(file, variables).options.own == file.own);
    auto own = OtlpOptions{};
    own.own_of(row.signal) = file;
    CHECK(take(own, variables).options.own_of(row.signal) == own.own_of(row.signal));
  }
  const auto taken = take({}, {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"},
                               {"OTEL_METRIC_EXPORT_INTERVAL", "30000"},
                               {"OTEL_METRIC_EXPORT_TIMEOUT", "2000"}});
  CHECK(taken.options.interval == 30s);
  CHECK(route_of(taken.options, kMetrics).value().timeout == 2s);  // no request takes longer than its batch is kept
  CHECK(route_of(taken.options, kTraces).value().timeout == 10s);
  OtlpOptions file;
  file.interval = 5s;
  file.endpoint = "http://file:4318";
  CHECK(take(file, {{"OTEL_METRIC_EXPORT_INTERVAL", "30000"}}).options.interval == 5s);
  // A queue that is too short for the file's batches.
  file.batch_size = 500;
  const auto shorter = take(file, {{"OTEL_BSP_MAX_QUEUE_SIZE", "100"}});
  CHECK(shorter.options == file);
  CHECK(shorter.warnings ==
        std::vector<std::string>{"environment: OTEL_BSP_MAX_QUEUE_SIZE: 500 is more than the 100 that may wait; ignored"});
}

TEST_CASE("otlp: propagators and a disabled SDK: what can't be had is told") {
  const std::string ending = "' is no propagator here, only tracecontext; ignored";
  struct Row {
    std::string value;
    std::vector<std::string> told;
  };
  const Row rows[] = {
      {"", {}},           {"tracecontext", {}},          {"TraceContext, tracecontext", {}}, {"tracecontext,baggage", {"baggage"}},
      {"none", {"none"}}, {"b3,B3,xray", {"b3", "xray"}}};
  for (const auto& row : rows) {
    INFO(row.value);
    std::vector<std::string> expected;
    for (const auto& name : row.told) expected.push_back("environment: OTEL_PROPAGATORS: '" + name + ending);
    CHECK(take({}, {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"}, {"OTEL_PROPAGATORS", row.value}}).warnings == expected);
  }
  OtlpOptions file;
  file.endpoint = "http://file:4318";
  CHECK(take(file, {{"OTEL_SDK_DISABLED", "true"}}).warnings ==
        std::vector<std::string>{
            "environment: OTEL_SDK_DISABLED: pintle.otlp of the configuration names an endpoint, and goes over it; ignored"});
  const auto neither = take(file, {{"OTEL_SDK_DISABLED", "1"}});
  CHECK(neither.options == file);
  CHECK(neither.warnings == std::vector<std::string>{"environment: OTEL_SDK_DISABLED: '1' is not true or false; ignored"});
}

}  // namespace pintle::config
