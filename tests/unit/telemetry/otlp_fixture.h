// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A collector and a way to it, by either protocol: as the agent wires them.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "fakes/otlp/fake_collector.h"
#include "kube/connection_poster.h"
#include "telemetry/otlp_transport.h"

namespace pintle::test {

enum class Protocol { kHttp, kGrpc, kJson, kHttpGzip, kGrpcGzip, kJsonGzip };
inline bool is_grpc(Protocol protocol) { return protocol == Protocol::kGrpc || protocol == Protocol::kGrpcGzip; }
inline bool is_json(Protocol protocol) { return protocol == Protocol::kJson || protocol == Protocol::kJsonGzip; }

inline std::unique_ptr<fakes::FakeCollector> collector(Protocol protocol) {
  return is_grpc(protocol) ? fakes::FakeCollector::grpc() : fakes::FakeCollector::http();
}

inline std::unique_ptr<telemetry::OtlpTransport> transport(Protocol protocol, int port,
                                                           std::vector<std::pair<std::string, std::string>> headers = {},
                                                           Duration timeout = std::chrono::seconds(20)) {
  const bool packs = protocol == Protocol::kHttpGzip || protocol == Protocol::kGrpcGzip || protocol == Protocol::kJsonGzip;
  const auto packing = packs ? telemetry::OtlpPacking::kGzip : telemetry::OtlpPacking::kPlain;
  if (is_grpc(protocol))
    return telemetry::make_grpc_transport(
        {.target = fmt::format("127.0.0.1:{}", port), .metadata = std::move(headers), .timeout = timeout, .packing = packing});
  static const SystemClock clock;
  kube::Kubeconfig server;
  server.tls = false;
  server.host = "127.0.0.1";
  server.port = port;
  auto connection = kube::ApiConnection::create(server, clock, {.name = "otlp", .deadline = timeout});
  REQUIRE(connection);
  const auto encoding = is_json(protocol) ? telemetry::OtlpEncoding::kJson : telemetry::OtlpEncoding::kProtobuf;
  return telemetry::make_http_transport(std::make_unique<kube::ConnectionPoster>(*std::move(connection), std::move(headers)),
                                        {.encoding = encoding, .packing = packing});
}

}  // namespace pintle::test
