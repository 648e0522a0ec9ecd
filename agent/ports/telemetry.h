// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam through which the core tells what it did as spans, and what a span is. Implemented by telemetry; without one nothing is
// told, and nothing is made for it. Attribute names are those of OpenTelemetry's semantic conventions where they have one.
// Thread rule: any thread; no call blocks.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/time.h"
#include "base/trace_context.h"

namespace pintle::ports {

using AttributeValue = std::variant<std::string, int64_t, double, bool, std::vector<std::string>>;
struct Attribute {
  std::string key;
  AttributeValue value;
  bool operator==(const Attribute&) const = default;
};

struct SpanEvent {
  Time time;
  std::string name;
  std::vector<Attribute> attributes;
};

enum class SpanKind { kInternal, kServer, kClient };
struct Span {
  TraceContext context;
  SpanId parent{};             // all zeros: the first of its trace
  bool parent_remote = false;  // it is somebody else's
  std::string name;
  SpanKind kind = SpanKind::kInternal;
  Time start, end;
  std::vector<Attribute> attributes;
  std::vector<SpanEvent> events;
  std::vector<TraceContext> links;   // spans of other traces
  std::optional<std::string> error;  // it failed; why
};

class TraceSink {
 public:
  virtual ~TraceSink() = default;
  // A span that nothing of ours encloses. Below `parent` it is in its trace and under its decision; else in a new trace.
  [[nodiscard]] virtual TraceContext begin(const std::optional<TraceContext>& parent) = 0;
  // A span that has ended. One of a trace that is not sampled is dropped.
  virtual void record(Span span) = 0;
};

}  // namespace pintle::ports
