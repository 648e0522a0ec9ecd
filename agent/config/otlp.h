// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Where telemetry is exported to, by the section pintle.otlp or, where it is silent, by OpenTelemetry's own environment variables:
// for all signals, and for one of them what it has of its own. Plain values, by the exporter specification of OpenTelemetry 1.5x.
// A mistake in the file is an error; one in the environment, which may be somebody else's, is a warning and the rest holds.
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
#include "model/otlp_signal.h"

namespace pintle::config {

enum class OtlpProtocol { kHttp, kHttpJson, kGrpc };
[[nodiscard]] std::string_view to_string(OtlpProtocol protocol);  // "http/protobuf", "http/json", "grpc"
enum class OtlpCompression { kNone, kGzip };
[[nodiscard]] std::string_view to_string(OtlpCompression compression);

// A way to a collector. What is not given is, of one signal's own way, that of all signals; of that, the default.
struct OtlpWay {
  // "http://127.0.0.1:4318". Of all signals and over HTTP "/v1/traces" and so on follow; of one signal it is taken as it is.
  std::string endpoint;
  std::optional<OtlpProtocol> protocol;        // http/protobuf
  std::optional<OtlpCompression> compression;  // none
  std::optional<model::StringMap> headers;     // none
  std::string ca_file;                         // the system's authorities
  std::string certificate_file, key_file;      // none; both or neither
  std::optional<bool> skip_verification;       // no
  std::optional<bool> insecure;                // no: an endpoint of gRPC without a scheme means TLS
  std::optional<Duration> timeout;             // of one request: 10 s
  std::optional<Duration> give_up_after;       // of a batch that nobody takes: 5 min; zero: never. Said, no request takes longer
  std::optional<Duration> batch_delay;         // how long spans and log records wait for company: 1 s
  std::optional<int32_t> batch_size;           // 512, and never more than may wait
  std::optional<int32_t> batch_queue;          // how many may wait: 2048 spans, 4096 log records
  bool operator==(const OtlpWay&) const = default;
};

// Inherits the way of all signals.
struct OtlpOptions : OtlpWay {
  model::PerSignal<OtlpWay> own;
  std::optional<model::PerSignal<bool>> signals;  // not chosen: all
  std::optional<Duration> interval;               // between metrics: 60 s
  std::optional<double> sampling;                 // share of the traces that are told: all
  std::optional<bool> parent_based;               // a caller's decision goes over it: yes
  std::string service_name;                       // empty: pintled
  model::StringMap resource_attributes;

  [[nodiscard]] const OtlpWay& own_of(model::OtlpSignal signal) const { return own[index_of(signal)]; }
  [[nodiscard]] OtlpWay& own_of(model::OtlpSignal signal) { return own[index_of(signal)]; }
  // It is wanted, and there is an endpoint for it.
  [[nodiscard]] bool exports(model::OtlpSignal signal) const;
  [[nodiscard]] bool enabled() const;  // any of them
  bool operator==(const OtlpOptions&) const = default;
};

struct OtlpEndpoint {
  bool tls = false;
  std::string host;  // IPv6 without brackets
  int port = 0;
  std::string path;  // as written; empty or "/…"
  bool operator==(const OtlpEndpoint&) const = default;
};
// kInvalid, naming the fix. gRPC takes HOST:PORT too, and no path.
[[nodiscard]] Result<OtlpEndpoint> parse_otlp_endpoint(std::string_view text, OtlpProtocol protocol, bool insecure);

// What holds for one signal in the end.
struct OtlpRoute {
  OtlpProtocol protocol = OtlpProtocol::kHttp;
  OtlpCompression compression = OtlpCompression::kNone;
  OtlpEndpoint endpoint;  // over HTTP its path is that of the request
  model::StringMap headers;
  std::string ca_file, certificate_file, key_file;
  bool skip_verification = false;
  Duration timeout{};
  bool operator==(const OtlpRoute&) const = default;
};
// REQUIRES: an endpoint for it. kInvalid: protocol and endpoint don't go together.
[[nodiscard]] Result<OtlpRoute> route_of(const OtlpOptions& options, model::OtlpSignal signal);

// How spans and log records of one signal wait, and how long a batch of any is kept.
struct OtlpBatching {
  Duration delay{};
  int32_t size = 0, queue = 0;  // size <= queue
  Duration give_up_after{};     // zero: never
  bool operator==(const OtlpBatching&) const = default;
};
// kInvalid: a batch is to be larger than what may wait.
[[nodiscard]] Result<OtlpBatching> batching_of(const OtlpOptions& options, model::OtlpSignal signal);

// For people: "to http://127.0.0.1:4318 (http/protobuf)", or for each signal that is exported where they differ.
[[nodiscard]] std::string otlp_destinations(const OtlpOptions& options);

using Environment = std::function<std::optional<std::string>(const std::string& name)>;
// Fills in what `options` does not say, for all signals or for one: OTEL_EXPORTER_OTLP_ENDPOINT, _PROTOCOL, _HEADERS, _COMPRESSION,
// _TIMEOUT, _CERTIFICATE, _CLIENT_CERTIFICATE, _CLIENT_KEY, _INSECURE, the same of one signal (OTEL_EXPORTER_OTLP_TRACES_ENDPOINT …),
// OTEL_TRACES_EXPORTER and its like, OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES, OTEL_SDK_DISABLED, and how the SDK's parts work
// (otlp_sdk_environment.h). What the options say of all signals goes over what a variable says of one. Warnings name the variable,
// and no secret.
void take_otlp_environment(OtlpOptions& options, const Environment& environment, std::vector<std::string>& warnings);

}  // namespace pintle::config
