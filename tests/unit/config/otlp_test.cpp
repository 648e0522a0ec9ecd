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
    headers: {authorization: Bearer x}
    tls: {caFile: /ca.pem, certificateFile: /c.pem, keyFile: /k.pem, skipVerification: true}
    timeout: 3s
    interval: 15s
    signals: [traces, logs]
    sampling: 0.25
    serviceName: agent
    resourceAttributes: {deployment.environment.name: lab}
)",
                            "p.yaml");
  REQUIRE((config ? std::string() : config.error().context).empty());
  const auto& otlp = config->pintle.otlp;
  CHECK(otlp.enabled());
  CHECK(otlp.protocol == OtlpProtocol::kHttp);
  CHECK(otlp.headers.at("authorization") == "Bearer x");
  CHECK(otlp.ca_file == "/ca.pem");
  CHECK(otlp.skip_verification);
  CHECK(otlp.timeout == 3s);
  CHECK(otlp.interval == 15s);
  CHECK(otlp.traces);
  CHECK_FALSE(otlp.metrics);
  CHECK(otlp.sampling == 0.25);
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
  CHECK(shown == 2);
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
      {"{endpoint: 'http://user@x'}", "is no endpoint"},
      {"{protocol: http/json}", "'http/json' is not one of grpc, http/protobuf"},
      {"{signals: [spans]}", "pintle.otlp.signals[0]: 'spans' is not one of traces, metrics, logs"},
      {"{sampling: 1.5}", "1.5 is not a share; use 0.0 to 1.0"},
      {"{timeout: 1ms}", "is not within 100ms and 1h0m0s"},
      {"{tls: {certificateFile: /c.pem}}", "certificateFile and keyFile go together"},
      {"{tls: {caFile: ca.pem}}", "'ca.pem' is not an absolute path"},
      {"{headers: {\"a b\": c}}", "'a b' can't be sent as a header"},
      {"{headers: {a: \"b\\nc: d\"}}", "'a' can't be sent as a header"},
      {"{endpont: x}", "did you mean 'endpoint'?"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    const auto config = parse(kHead + "pintle: {otlp: " + row.text + "}\n", "p.yaml");
    REQUIRE_FALSE(config);
    INFO(config.error().context);
    CHECK(config.error().context.find(row.error) != std::string::npos);
  }
}

TEST_CASE("otlp: endpoints") {
  struct Row {
    std::string text;
    OtlpProtocol protocol;
    OtlpEndpoint expected;
  };
  using enum OtlpProtocol;
  const Row rows[] = {
      {"http://127.0.0.1:4318", kHttp, {false, "127.0.0.1", 4318, ""}},
      {"http://collector", kHttp, {false, "collector", 80, ""}},
      {"https://collector.example/otel/", kHttp, {true, "collector.example", 443, "/otel"}},
      {"http://[fd00::1]:4318/a/b", kHttp, {false, "fd00::1", 4318, "/a/b"}},
      {"http://127.0.0.1:4317", kGrpc, {false, "127.0.0.1", 4317, ""}},
      {"collector:4317", kGrpc, {false, "collector", 4317, ""}},
      {"[::1]", kGrpc, {false, "::1", 4317, ""}},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK(parse_otlp_endpoint(row.text, row.protocol).value() == row.expected);
  }
  CHECK_FALSE(parse_otlp_endpoint("collector:4317", kHttp));
  CHECK_FALSE(parse_otlp_endpoint("http://x/path", kGrpc));
  CHECK_FALSE(parse_otlp_endpoint("http://", kHttp));
  CHECK_FALSE(parse_otlp_endpoint("http://[::1", kHttp));
}

TEST_CASE("otlp: the environment holds where the file is silent") {
  const std::map<std::string, std::string> all = {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4317"},
                                                  {"OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"},
                                                  {"OTEL_EXPORTER_OTLP_HEADERS", "a=b, c = d%20e"},
                                                  {"OTEL_EXPORTER_OTLP_CERTIFICATE", "/env.pem"},
                                                  {"OTEL_SERVICE_NAME", "from-env"},
                                                  {"OTEL_RESOURCE_ATTRIBUTES", "team=core,rack=7"}};
  const auto taken = take({}, all);
  CHECK(taken.warnings.empty());
  CHECK(taken.options.endpoint == "http://env:4317");
  CHECK(taken.options.protocol == OtlpProtocol::kGrpc);
  CHECK(taken.options.headers == model::StringMap{{"a", "b"}, {"c", "d e"}});
  CHECK(taken.options.ca_file == "/env.pem");
  CHECK(taken.options.service_name == "from-env");
  CHECK(taken.options.resource_attributes == model::StringMap{{"rack", "7"}, {"team", "core"}});

  OtlpOptions file;
  file.endpoint = "http://file:4318";
  file.protocol = OtlpProtocol::kHttp;
  file.headers = {{"x", "y"}};
  file.ca_file = "/file.pem";
  file.service_name = "from-file";
  file.resource_attributes = {{"rack", "1"}};
  auto expected = file;
  expected.resource_attributes = {{"rack", "1"}, {"team", "core"}};
  CHECK(take(file, all).options == expected);
}

TEST_CASE("otlp: nothing is exported unless somebody asks for it") {
  CHECK_FALSE(take({}, {}).options.enabled());
  CHECK(take({}, {{"OTEL_SERVICE_NAME", "x"}}).options == OtlpOptions{});
  CHECK_FALSE(take({}, {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"}, {"OTEL_SDK_DISABLED", "True"}}).options.enabled());
  OtlpOptions file;
  file.endpoint = "http://file:4318";
  CHECK(take(file, {{"OTEL_SDK_DISABLED", "true"}}).options == file);  // the file's word
}

TEST_CASE("otlp: a mistake in the environment is a warning, and names the variable but no secret") {
  const auto endpoint = take({}, {{"OTEL_EXPORTER_OTLP_ENDPOINT", "collector"}});
  CHECK_FALSE(endpoint.options.enabled());
  REQUIRE(endpoint.warnings.size() == 1);
  CHECK(endpoint.warnings[0].starts_with("environment: OTEL_EXPORTER_OTLP_ENDPOINT: 'collector' is no endpoint"));
  const auto others = take({}, {{"OTEL_EXPORTER_OTLP_ENDPOINT", "http://env:4318"},
                                {"OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"},
                                {"OTEL_EXPORTER_OTLP_HEADERS", "a=b,secret%0aHost: x"},
                                {"OTEL_RESOURCE_ATTRIBUTES", "k=%zz"}});
  CHECK(others.options.enabled());
  CHECK(others.options.effective_protocol() == OtlpProtocol::kHttp);
  REQUIRE(others.warnings.size() == 3);
  CHECK(others.warnings[1] == "environment: OTEL_EXPORTER_OTLP_HEADERS: item 2 is not KEY=VALUE; ignored");
}

}  // namespace pintle::config
