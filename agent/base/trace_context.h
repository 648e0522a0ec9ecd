// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Where in a trace something happens: W3C trace context (Recommendation of 2021, version 00), its text form, and the context
// that a thread works in, which calls it makes to others carry on and which its log lines belong to. Not a span: see ports/telemetry.h.
// Thread rule: values; a TraceScope holds for the thread that made it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace pintle {

using TraceId = std::array<uint8_t, 16>;
using SpanId = std::array<uint8_t, 8>;

// Valid: neither id is all zeros.
struct TraceContext {
  TraceId trace{};
  SpanId span{};
  bool sampled = false;
  bool operator==(const TraceContext&) const = default;
};

inline constexpr std::string_view kTraceparent = "traceparent";  // header of HTTP, metadata of gRPC
// On a pod: the context of the request that made it.
inline constexpr std::string_view kTraceparentAnnotation = "pintle.dev/traceparent";
// On a pod: the context of the request that deletes it. One of its own, since both requests may bear the same.
inline constexpr std::string_view kStopTraceparentAnnotation = "pintle.dev/stop-traceparent";

// nullopt for anything that the recommendation calls invalid. A version above 00 may have more behind.
[[nodiscard]] std::optional<TraceContext> parse_traceparent(std::string_view text);
[[nodiscard]] std::string format_traceparent(const TraceContext& context);
[[nodiscard]] std::string to_hex(const TraceId& id);
[[nodiscard]] std::string to_hex(const SpanId& id);

// Ids by chance.
[[nodiscard]] TraceContext new_trace(bool sampled);
// Another span of the same trace, with the same decision.
[[nodiscard]] TraceContext child_of(const TraceContext& parent);
// Whether a trace is within `ratio` (0 to 1) of all: decided by its id alone, so that all who see it decide alike.
[[nodiscard]] bool within_ratio(const TraceId& id, double ratio);

// The thread works in `context` until the scope ends; nullopt: what it worked in before goes on.
class TraceScope {
 public:
  explicit TraceScope(const std::optional<TraceContext>& context);
  ~TraceScope();
  TraceScope(const TraceScope&) = delete;
  TraceScope& operator=(const TraceScope&) = delete;

 private:
  const std::optional<TraceContext> context_;
  const TraceContext* const outer_;
};
// Of the calling thread; null: none. Valid while the scope lasts.
[[nodiscard]] const TraceContext* current_trace();

}  // namespace pintle
