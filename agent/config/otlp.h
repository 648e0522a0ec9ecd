// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Where telemetry is exported to, by the section pintle.otlp or, where it is silent, by OpenTelemetry's own environment variables.
// Plain values. A mistake in the file is an error; one in the environment, which may be somebody else's, is a warning and the rest holds.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/meta.h"

namespace pintle::config {

enum class OtlpProtocol { kHttp, kGrpc };
[[nodiscard]] std::string_view to_string(OtlpProtocol protocol);  // "http/protobuf", "grpc"

struct OtlpOptions {
  std::string endpoint;                  // "http://127.0.0.1:4318"; empty: nothing is exported
  std::optional<OtlpProtocol> protocol;  // not chosen: http/protobuf
  model::StringMap headers;
  std::string ca_file, certificate_file, key_file;  // empty: the system's authorities, no certificate
  bool skip_verification = false;
  Duration timeout = std::chrono::seconds(10), interval = std::chrono::seconds(60);
  bool traces = true, metrics = true, logs = true;
  double sampling = 1;
  std::string service_name;  // empty: pintled
  model::StringMap resource_attributes;
  [[nodiscard]] bool enabled() const { return !endpoint.empty(); }
  [[nodiscard]] OtlpProtocol effective_protocol() const { return protocol.value_or(OtlpProtocol::kHttp); }
  bool operator==(const OtlpOptions&) const = default;
};

struct OtlpEndpoint {
  bool tls = false;
  std::string host;  // IPv6 without brackets
  int port = 0;
  std::string path;  // before "/v1/traces"; empty or "/x"
  bool operator==(const OtlpEndpoint&) const = default;
};
// kInvalid, naming the fix. gRPC takes HOST:PORT too, and no https.
[[nodiscard]] Result<OtlpEndpoint> parse_otlp_endpoint(std::string_view text, OtlpProtocol protocol);

using Environment = std::function<std::optional<std::string>(const std::string& name)>;
// Fills in what `options` does not say: OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL, _HEADERS, _CERTIFICATE, OTEL_SERVICE_NAME,
// OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED. Warnings name the variable.
void take_otlp_environment(OtlpOptions& options, const Environment& environment, std::vector<std::string>& warnings);

}  // namespace pintle::config
