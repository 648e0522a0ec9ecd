// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One request to a collector, over HTTP or gRPC, and what became of it as the protocol has it (OTLP 1.5, "Failures" and
// "OTLP/HTTP Response"): delivered, worth another try, or refused for good. It tries once: whether and when again is otlp_pipeline.h's.
// Thread rule: one thread. A send ends by its deadline or its stop token.
#pragma once

#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "ports/http_poster.h"
#include "telemetry/otlp_counts.h"

namespace pintle::telemetry {

// Of a request's body over HTTP; gRPC has the second only.
enum class OtlpEncoding { kProtobuf, kJson };
enum class OtlpPacking { kPlain, kGzip };

struct SendOutcome {
  enum class Kind { kDelivered, kRetry, kRefused };
  Kind kind = Kind::kDelivered;
  std::optional<Duration> retry_after;  // kRetry: not before; the collector's own word
  uint64_t rejected = 0;                // kDelivered: so many of it were not taken
  std::string message;                  // why not; of kDelivered a warning, mostly empty
};

class OtlpTransport {
 public:
  virtual ~OtlpTransport() = default;
  // An encoded request (otlp_encode.h) as this transport sends it: made once for each batch, however often that is sent.
  [[nodiscard]] virtual std::string packed(OtlpSignal /*signal*/, std::string request) const { return request; }
  // REQUIRES: `request` is packed.
  [[nodiscard]] virtual SendOutcome send(OtlpSignal signal, const std::string& request, std::stop_token stop) = 0;
};

struct HttpOptions {
  model::PerSignal<std::string> paths = {"/v1/traces", "/v1/metrics", "/v1/logs"};
  OtlpEncoding encoding = OtlpEncoding::kProtobuf;
  OtlpPacking packing = OtlpPacking::kPlain;
};
[[nodiscard]] std::unique_ptr<OtlpTransport> make_http_transport(std::unique_ptr<ports::HttpPoster> poster, HttpOptions options = {});

struct GrpcOptions {
  std::string target;  // "127.0.0.1:4317"; without TLS
  std::vector<std::pair<std::string, std::string>> metadata;
  Duration timeout = std::chrono::seconds(10);
  OtlpPacking packing = OtlpPacking::kPlain;
};
[[nodiscard]] std::unique_ptr<OtlpTransport> make_grpc_transport(GrpcOptions options);

}  // namespace pintle::telemetry
