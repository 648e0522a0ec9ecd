// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One request and what became of it, by the same rules over HTTP and gRPC, against a collector on a real socket.
#include "telemetry/otlp_transport.h"

#include <thread>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "fakes/otlp/otlp_json.h"
#include "telemetry/otlp_encode.h"
#include "unit/telemetry/otlp_fixture.h"

using namespace pintle;
using namespace pintle::telemetry;
using namespace std::chrono_literals;
using Kind = SendOutcome::Kind;
using test::Protocol;

TEST_CASE("a request arrives as it is, with the headers asked for, at its signal's place") {
  const auto protocol = GENERATE(Protocol::kHttp, Protocol::kGrpc);
  const auto collector = test::collector(protocol);
  const auto transport = test::transport(protocol, collector->port(), {{"authorization", "Bearer x"}, {"x-tenant", "seven"}});
  const std::string body("\x0a\x00", 2);  // one empty group
  for (const auto signal : kOtlpSignals) {
    const auto outcome = transport->send(signal, body, {});
    CHECK(outcome.kind == Kind::kDelivered);
    CHECK(outcome.rejected == 0);
  }
  const auto requests = collector->requests();
  REQUIRE(requests.size() == 3);
  CHECK(requests[0].signal == "traces");
  CHECK(requests[1].signal == "metrics");
  CHECK(requests[2].signal == "logs");
  for (const auto& request : requests) {
    CHECK(request.body == body);
    CHECK(request.headers.at("authorization") == "Bearer x");
    CHECK(request.headers.at("x-tenant") == "seven");
    if (protocol == Protocol::kHttp) CHECK(request.headers.at("content-type") == "application/x-protobuf");
    CHECK_FALSE(request.headers.contains("content-encoding"));
  }
}

TEST_CASE("a request in JSON, and compressed ones: what arrives is the same") {
  const auto protocol = GENERATE(Protocol::kJson, Protocol::kHttpGzip, Protocol::kGrpcGzip, Protocol::kJsonGzip);
  const auto collector = test::collector(protocol);
  const auto transport = test::transport(protocol, collector->port());
  std::vector<LogRecord> records(100, LogRecord{.time = Time{1s}, .observed = Time{1s}, .body = std::string(100, 'x')});
  const auto body = encode_logs({.version = "1"}, records);
  const auto packed = transport->packed(OtlpSignal::kLogs, body);
  if (protocol == Protocol::kHttpGzip || protocol == Protocol::kJsonGzip) CHECK(packed.size() < body.size() / 10);
  if (protocol == Protocol::kJson) CHECK(packed.starts_with("{\"resourceLogs\":["));
  for (int i = 0; i < 2; ++i) CHECK(transport->send(OtlpSignal::kLogs, packed, {}).kind == Kind::kDelivered);
  const auto requests = collector->requests();
  REQUIRE(requests.size() == 2);
  for (const auto& request : requests) {
    const auto items = fakes::to_json(request);
    REQUIRE(items.size() == 100);
    CHECK(items[99]["body"] == std::string(100, 'x'));
    if (!test::is_json(protocol)) CHECK(request.body == body);
    if (test::is_grpc(protocol)) continue;
    const std::string type = test::is_json(protocol) ? "application/json" : "application/x-protobuf";
    CHECK(request.headers.at("content-type") == type);
    CHECK(request.headers.at("accept") == type);
    CHECK(request.headers.contains("content-encoding") == (protocol != Protocol::kJson));
  }
}

TEST_CASE("a collector of gRPC that can't unpack says so") {
  const auto collector = fakes::FakeCollector::grpc_without_gzip();
  const auto body = encode_logs({.version = "1"}, std::vector<LogRecord>(1, LogRecord{.body = std::string(100, 'x')}));
  const auto refused = test::transport(Protocol::kGrpcGzip, collector->port())->send(OtlpSignal::kLogs, body, {});
  CHECK(refused.kind == Kind::kRefused);
  CHECK(refused.message.find("gzip") != std::string::npos);
  CHECK(test::transport(Protocol::kGrpc, collector->port())->send(OtlpSignal::kLogs, body, {}).kind == Kind::kDelivered);
}

TEST_CASE("what was not taken of a request is told") {
  const auto protocol = GENERATE(Protocol::kHttp, Protocol::kGrpc, Protocol::kJson);
  const auto collector = test::collector(protocol);
  const auto transport = test::transport(protocol, collector->port());
  for (const auto signal : kOtlpSignals) {
    collector->answer_next({.rejected = 3, .message = "too old"});
    const auto partly = transport->send(signal, transport->packed(signal, {}), {});
    CHECK(partly.kind == Kind::kDelivered);
    CHECK(partly.rejected == 3);
    CHECK(partly.message == "too old");
  }
}

TEST_CASE("which refusals are worth another try") {
  struct Row {
    Protocol protocol;
    int status;
    std::optional<int> retry_after;
    Kind expected;
  };
  const Row rows[] = {
      {Protocol::kHttp, 400, {}, Kind::kRefused}, {Protocol::kHttp, 401, {}, Kind::kRefused}, {Protocol::kHttp, 404, {}, Kind::kRefused},
      {Protocol::kHttp, 413, {}, Kind::kRefused}, {Protocol::kHttp, 500, {}, Kind::kRefused}, {Protocol::kHttp, 429, 7, Kind::kRetry},
      {Protocol::kHttp, 429, {}, Kind::kRetry},   {Protocol::kHttp, 502, {}, Kind::kRetry},   {Protocol::kHttp, 503, 9, Kind::kRetry},
      {Protocol::kHttp, 504, {}, Kind::kRetry},   {Protocol::kGrpc, 1, {}, Kind::kRetry},     {Protocol::kGrpc, 3, {}, Kind::kRefused},
      {Protocol::kGrpc, 4, {}, Kind::kRetry},     {Protocol::kGrpc, 7, {}, Kind::kRefused},   {Protocol::kGrpc, 8, {}, Kind::kRefused},
      {Protocol::kGrpc, 8, 5, Kind::kRetry},      {Protocol::kGrpc, 10, {}, Kind::kRetry},    {Protocol::kGrpc, 11, {}, Kind::kRetry},
      {Protocol::kGrpc, 12, {}, Kind::kRefused},  {Protocol::kGrpc, 13, {}, Kind::kRefused},  {Protocol::kGrpc, 14, {}, Kind::kRetry},
      {Protocol::kJson, 400, {}, Kind::kRefused}, {Protocol::kJson, 503, 9, Kind::kRetry},    {Protocol::kGrpc, 14, 11, Kind::kRetry},
      {Protocol::kGrpc, 15, {}, Kind::kRetry},    {Protocol::kGrpc, 16, {}, Kind::kRefused},
  };
  for (const auto protocol : {Protocol::kHttp, Protocol::kGrpc, Protocol::kJson}) {
    const auto collector = test::collector(protocol);
    const auto transport = test::transport(protocol, collector->port());
    for (const auto& row : rows) {
      if (row.protocol != protocol) continue;
      INFO("status " << row.status);
      collector->answer_next({.status = row.status, .retry_after_seconds = row.retry_after, .message = "no room"});
      const auto outcome = transport->send(OtlpSignal::kTraces, transport->packed(OtlpSignal::kTraces, {}), {});
      CHECK(outcome.kind == row.expected);
      CHECK(outcome.retry_after.has_value() == row.retry_after.has_value());
      if (row.retry_after) CHECK(*outcome.retry_after == std::chrono::seconds(*row.retry_after));
      CHECK(outcome.message.find(std::to_string(row.status)) != std::string::npos);
      CHECK(outcome.message.find("no room") != std::string::npos);
    }
    CHECK(transport->send(OtlpSignal::kTraces, {}, {}).kind == Kind::kDelivered);  // none of them ends the connection for good
  }
}

TEST_CASE("nobody there, or nobody who answers, is worth another try") {
  const auto protocol = GENERATE(Protocol::kHttp, Protocol::kGrpc);
  auto collector = test::collector(protocol);
  const int port = collector->port();
  collector.reset();
  const auto nobody = test::transport(protocol, port)->send(OtlpSignal::kTraces, {}, {});
  CHECK(nobody.kind == Kind::kRetry);
  CHECK_FALSE(nobody.message.empty());

  collector = test::collector(protocol);
  collector->answer_next({.hang = true});
  const auto transport = test::transport(protocol, collector->port(), {}, 200ms);
  CHECK(transport->send(OtlpSignal::kTraces, {}, {}).kind == Kind::kRetry);
}

TEST_CASE("a send that is under way ends by the stop token") {
  const auto protocol = GENERATE(Protocol::kHttp, Protocol::kGrpc);
  const auto collector = test::collector(protocol);
  collector->answer_next({.hang = true});
  const auto transport = test::transport(protocol, collector->port(), {}, 1h);
  std::stop_source stop;
  std::thread stopper([&] {
    collector->wait_for(1);
    stop.request_stop();
  });
  CHECK(transport->send(OtlpSignal::kTraces, {}, stop.get_token()).kind != Kind::kDelivered);
  stopper.join();
}
