// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/otlp_encode.h"

#include <algorithm>

#include <google/protobuf/arena.h>

#include "otlp/logs_service.pb.h"
#include "otlp/trace_service.pb.h"
#include "telemetry/otlp_values.h"

namespace pintle::telemetry {
namespace {

namespace traces = opentelemetry::proto::collector::trace::v1;
namespace logs = opentelemetry::proto::collector::logs::v1;
using google::protobuf::Arena;

constexpr uint32_t kParentIsKnown = 0x100, kParentIsRemote = 0x200;
constexpr std::string_view kRetryInfo = "type.googleapis.com/google.rpc.RetryInfo";

template <size_t N>
std::string bytes_of(const std::array<uint8_t, N>& id) {
  return {id.begin(), id.end()};
}

wire::Span::Kind to_wire(ports::SpanKind kind) {
  switch (kind) {
    case ports::SpanKind::kInternal: return wire::Span::INTERNAL;
    case ports::SpanKind::kServer: return wire::Span::SERVER;
    case ports::SpanKind::kClient: return wire::Span::CLIENT;
  }
  return wire::Span::UNSPECIFIED;
}

void to_wire(const ports::Span& span, wire::Span& out) {
  out.set_trace_id(bytes_of(span.context.trace));
  out.set_span_id(bytes_of(span.context.span));
  if (span.parent != SpanId{}) out.set_parent_span_id(bytes_of(span.parent));
  out.set_flags((span.context.sampled ? 1U : 0U) | kParentIsKnown | (span.parent_remote ? kParentIsRemote : 0U));
  out.set_name(clean(span.name));
  out.set_kind(to_wire(span.kind));
  out.set_start_time_unix_nano(nanos(span.start));
  out.set_end_time_unix_nano(nanos(std::max(span.start, span.end)));
  add_attributes(span.attributes, *out.mutable_attributes());
  for (const auto& event : span.events) {
    auto& added = *out.add_events();
    added.set_time_unix_nano(nanos(event.time));
    added.set_name(clean(event.name));
    add_attributes(event.attributes, *added.mutable_attributes());
  }
  for (const auto& link : span.links) {
    auto& added = *out.add_links();
    added.set_trace_id(bytes_of(link.trace));
    added.set_span_id(bytes_of(link.span));
    added.set_flags(link.sampled ? 1U : 0U);
  }
  if (!span.error) return;
  out.mutable_status()->set_code(wire::Span::Status::ERROR);
  out.mutable_status()->set_message(clean(*span.error));
}

struct Severity {
  int32_t number;
  const char* text;
};
Severity severity_of(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug: return {5, "DEBUG"};
    case LogLevel::kInfo: return {9, "INFO"};
    case LogLevel::kWarning: return {13, "WARN"};
    case LogLevel::kError: return {17, "ERROR"};
  }
  return {0, ""};
}

void to_wire(const LogRecord& record, wire::LogRecord& out) {
  out.set_time_unix_nano(nanos(record.time));
  out.set_observed_time_unix_nano(nanos(record.observed));
  const auto severity = severity_of(record.level);
  out.set_severity_number(severity.number);
  out.set_severity_text(severity.text);
  out.mutable_body()->set_string_value(clean(record.body));
  out.set_event_name(record.event_name);
  add_attributes(record.attributes, *out.mutable_attributes());
  if (!record.trace) return;
  out.set_trace_id(bytes_of(record.trace->trace));
  out.set_span_id(bytes_of(record.trace->span));
  out.set_flags(record.trace->sampled ? 1 : 0);
}

}  // namespace

void set_value(const ports::AttributeValue& value, wire::AnyValue& out) {
  struct Set {
    wire::AnyValue& out;
    void operator()(const std::string& text) const { out.set_string_value(clean(text)); }
    void operator()(int64_t number) const { out.set_int_value(number); }
    void operator()(double number) const { out.set_double_value(number); }
    void operator()(bool flag) const { out.set_bool_value(flag); }
    void operator()(const std::vector<std::string>& texts) const {
      auto& array = *out.mutable_array_value();  // an empty one is a value too
      for (const auto& text : texts) array.add_values()->set_string_value(clean(text));
    }
  };
  std::visit(Set{out}, value);
}

void set_origin(const OtlpOrigin& origin, wire::Resource& resource, wire::Scope& scope) {
  add_attributes(origin.resource, *resource.mutable_attributes());
  scope.set_name("pintle");
  scope.set_version(origin.version);
}

std::string encode_spans(const OtlpOrigin& origin, std::span<const ports::Span> spans) {
  Arena arena;
  auto& request = *Arena::CreateMessage<traces::ExportTraceServiceRequest>(&arena);
  auto& group = *request.add_resource_spans();
  auto& scope = *group.add_scope_spans();
  set_origin(origin, *group.mutable_resource(), *scope.mutable_scope());
  for (const auto& span : spans) to_wire(span, *scope.add_spans());
  return request.SerializeAsString();
}

std::string encode_logs(const OtlpOrigin& origin, std::span<const LogRecord> records) {
  Arena arena;
  auto& request = *Arena::CreateMessage<logs::ExportLogsServiceRequest>(&arena);
  auto& group = *request.add_resource_logs();
  auto& scope = *group.add_scope_logs();
  set_origin(origin, *group.mutable_resource(), *scope.mutable_scope());
  for (const auto& record : records) to_wire(record, *scope.add_log_records());
  return request.SerializeAsString();
}

std::optional<OtlpAnswer> decode_answer(std::string_view bytes) {
  wire::ExportResponse answer;
  if (!answer.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return std::nullopt;
  return OtlpAnswer{std::max<int64_t>(answer.partial_success().rejected(), 0), answer.partial_success().error_message()};
}

OtlpRefusal decode_refusal(std::string_view bytes) {
  wire::RpcStatus status;
  if (!status.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) return {};
  OtlpRefusal refusal{status.message(), std::nullopt};
  for (const auto& detail : status.details()) {
    wire::RetryInfo info;
    if (detail.type_url() != kRetryInfo || !info.ParseFromString(detail.value())) continue;
    // Absurd values must not overflow a span of nanoseconds.
    const auto seconds = std::clamp<int64_t>(info.retry_delay().seconds(), 0, 86'400);
    refusal.retry_after = std::chrono::seconds(seconds) + std::chrono::nanoseconds(std::clamp(info.retry_delay().nanos(), 0, 999'999'999));
  }
  return refusal;
}

}  // namespace pintle::telemetry
