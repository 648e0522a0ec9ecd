// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Spans and log records as requests of the OpenTelemetry protocol, in bytes: what is posted over HTTP and what gRPC carries are the
// same. Metrics are written by otlp_metrics.h. Text that is not UTF-8 gets '?' for each bad byte, since a collector refuses the whole
// request otherwise. Pure functions, any thread.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "ports/telemetry.h"

namespace pintle::telemetry {

// A line of the agent's log, or an event of a program (which has a name).
struct LogRecord {
  Time time, observed;
  LogLevel level = LogLevel::kInfo;
  std::string body, event_name;
  std::vector<ports::Attribute> attributes;
  std::optional<TraceContext> trace;
};

// Who tells, in every request.
struct OtlpOrigin {
  std::vector<ports::Attribute> resource;
  std::string version;  // of the scope "pintle"
};

[[nodiscard]] std::string encode_spans(const OtlpOrigin& origin, std::span<const ports::Span> spans);
[[nodiscard]] std::string encode_logs(const OtlpOrigin& origin, std::span<const LogRecord> records);

// What a collector says of a request that it took. nullopt: not an answer of a collector.
struct OtlpAnswer {
  int64_t rejected = 0;
  std::string message;
};
[[nodiscard]] std::optional<OtlpAnswer> decode_answer(std::string_view bytes);
// google.rpc.Status. Either may be missing.
struct OtlpRefusal {
  std::string message;
  std::optional<Duration> retry_after;  // its RetryInfo
};
[[nodiscard]] OtlpRefusal decode_refusal(std::string_view bytes);

}  // namespace pintle::telemetry
