// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/otlp_json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <iterator>

#include <fmt/format.h>
#include <google/protobuf/arena.h>

#include "codec/document.h"
#include "codec/text.h"
#include "otlp/logs_service.pb.h"
#include "otlp/metrics_service.pb.h"
#include "otlp/trace_service.pb.h"
#include "telemetry/otlp_values.h"

namespace pintle::telemetry {
namespace {

namespace otel = opentelemetry::proto::collector;
using google::protobuf::Arena;

// Text of one value. Members that have their default are left out by those who call it.
class JsonText {
 public:
  void begin(char bracket) {
    separate();
    text_ += bracket;
    first_ = true;
  }
  void end(char bracket) {
    text_ += bracket;
    first_ = false;
  }
  void name(std::string_view key) {
    separate();
    fmt::format_to(std::back_inserter(text_), "\"{}\":", key);  // ours: nothing to escape
    first_ = true;
  }
  void raw(std::string_view value) {
    separate();
    text_ += value;
  }
  void text(std::string_view value) {
    separate();
    text_ += '"';
    for (const char c : value) {
      if (c == '"' || c == '\\')
        (text_ += '\\') += c;
      else if (static_cast<unsigned char>(c) < ' ')
        fmt::format_to(std::back_inserter(text_), "\\u{:04x}", static_cast<int>(c));
      else
        text_ += c;
    }
    text_ += '"';
  }
  void real(double value) {
    if (std::isfinite(value)) return raw(fmt::format("{}", value));
    text(std::isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
  }
  template <typename Number>  // of 64 bits
  void wide(Number value) {
    text(fmt::format("{}", value));
  }
  void hex(std::string_view bytes) {
    std::string digits;
    for (const char c : bytes) fmt::format_to(std::back_inserter(digits), "{:02x}", static_cast<unsigned char>(c));
    text(digits);
  }
  [[nodiscard]] std::string take() && { return std::move(text_); }

 private:
  void separate() {
    if (!first_) text_ += ',';
    first_ = false;
  }
  std::string text_;
  bool first_ = true;
};

void text_if_any(JsonText& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out.name(name);
  out.text(value);
}
void id_if_any(JsonText& out, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  out.name(name);
  out.hex(value);
}
void wide_if_any(JsonText& out, std::string_view name, uint64_t value) {
  if (value == 0) return;
  out.name(name);
  out.wide(value);
}
void number_if_any(JsonText& out, std::string_view name, int64_t value) {  // of 32 bits, and enums
  if (value == 0) return;
  out.name(name);
  out.raw(fmt::format("{}", value));
}
void flag_if_set(JsonText& out, std::string_view name, bool value) {
  if (!value) return;
  out.name(name);
  out.raw("true");
}
// `write` writes the members of one.
template <typename Repeated, typename Write>
void objects(JsonText& out, std::string_view name, const Repeated& values, const Write& write) {
  if (values.empty()) return;
  out.name(name);
  out.begin('[');
  for (const auto& value : values) {
    out.begin('{');
    write(value);
    out.end('}');
  }
  out.end(']');
}
template <typename Write>
void object(JsonText& out, std::string_view name, const Write& write) {
  out.name(name);
  out.begin('{');
  write();
  out.end('}');
}

void write_value(JsonText& out, const wire::AnyValue& value) {
  const auto named = [&out](std::string_view name) -> JsonText& {
    out.name(name);
    return out;
  };
  switch (value.value_case()) {
    case wire::AnyValue::kStringValue: return named("stringValue").text(value.string_value());
    case wire::AnyValue::kBoolValue: return named("boolValue").raw(value.bool_value() ? "true" : "false");
    case wire::AnyValue::kIntValue: return named("intValue").wide(value.int_value());
    case wire::AnyValue::kDoubleValue: return named("doubleValue").real(value.double_value());
    case wire::AnyValue::kBytesValue: return named("bytesValue").text(codec::encode_base64(value.bytes_value()));
    case wire::AnyValue::kArrayValue:
      return object(out, "arrayValue",
                    [&] { objects(out, "values", value.array_value().values(), [&](const auto& one) { write_value(out, one); }); });
    case wire::AnyValue::VALUE_NOT_SET: break;
  }
}

template <typename Repeated>
void write_attributes(JsonText& out, const Repeated& attributes) {
  objects(out, "attributes", attributes, [&](const wire::KeyValue& one) {
    text_if_any(out, "key", one.key());
    object(out, "value", [&] { write_value(out, one.value()); });
  });
}

void write_span(JsonText& out, const wire::Span& span) {
  id_if_any(out, "traceId", span.trace_id());
  id_if_any(out, "spanId", span.span_id());
  id_if_any(out, "parentSpanId", span.parent_span_id());
  text_if_any(out, "name", span.name());
  number_if_any(out, "kind", span.kind());
  wide_if_any(out, "startTimeUnixNano", span.start_time_unix_nano());
  wide_if_any(out, "endTimeUnixNano", span.end_time_unix_nano());
  write_attributes(out, span.attributes());
  objects(out, "events", span.events(), [&](const auto& event) {
    wide_if_any(out, "timeUnixNano", event.time_unix_nano());
    text_if_any(out, "name", event.name());
    write_attributes(out, event.attributes());
  });
  objects(out, "links", span.links(), [&](const auto& link) {
    id_if_any(out, "traceId", link.trace_id());
    id_if_any(out, "spanId", link.span_id());
    write_attributes(out, link.attributes());
    number_if_any(out, "flags", link.flags());
  });
  if (span.has_status())
    object(out, "status", [&] {
      text_if_any(out, "message", span.status().message());
      number_if_any(out, "code", span.status().code());
    });
  number_if_any(out, "flags", span.flags());
}

void write_record(JsonText& out, const wire::LogRecord& record) {
  wide_if_any(out, "timeUnixNano", record.time_unix_nano());
  wide_if_any(out, "observedTimeUnixNano", record.observed_time_unix_nano());
  number_if_any(out, "severityNumber", record.severity_number());
  text_if_any(out, "severityText", record.severity_text());
  if (record.has_body()) object(out, "body", [&] { write_value(out, record.body()); });
  write_attributes(out, record.attributes());
  number_if_any(out, "flags", record.flags());
  id_if_any(out, "traceId", record.trace_id());
  id_if_any(out, "spanId", record.span_id());
  text_if_any(out, "eventName", record.event_name());
}

template <typename Point>
void write_times(JsonText& out, const Point& point) {
  write_attributes(out, point.attributes());
  wide_if_any(out, "startTimeUnixNano", point.start_time_unix_nano());
  wide_if_any(out, "timeUnixNano", point.time_unix_nano());
}

template <typename Repeated>
void write_numbers(JsonText& out, const Repeated& points) {
  objects(out, "dataPoints", points, [&](const wire::NumberPoint& point) {
    write_times(out, point);
    if (point.value_case() == wire::NumberPoint::kAsInt) {
      out.name("asInt");
      out.wide(point.as_int());
    } else if (point.value_case() == wire::NumberPoint::kAsDouble) {
      out.name("asDouble");
      out.real(point.as_double());
    }
  });
}

void write_histogram(JsonText& out, const wire::Histogram& histogram) {
  objects(out, "dataPoints", histogram.points(), [&](const wire::HistogramPoint& point) {
    write_times(out, point);
    wide_if_any(out, "count", point.count());
    if (point.has_sum()) {
      out.name("sum");
      out.real(point.sum());
    }
    if (point.bucket_counts_size() != 0) {
      out.name("bucketCounts");
      out.begin('[');
      for (const auto count : point.bucket_counts()) out.wide(count);
      out.end(']');
    }
    if (point.explicit_bounds_size() != 0) {
      out.name("explicitBounds");
      out.begin('[');
      for (const auto bound : point.explicit_bounds()) out.real(bound);
      out.end(']');
    }
  });
  number_if_any(out, "aggregationTemporality", histogram.temporality());
}

void write_metric(JsonText& out, const wire::Metric& metric) {
  text_if_any(out, "name", metric.name());
  text_if_any(out, "description", metric.description());
  text_if_any(out, "unit", metric.unit());
  if (metric.has_gauge()) object(out, "gauge", [&] { write_numbers(out, metric.gauge().points()); });
  if (metric.has_sum())
    object(out, "sum", [&] {
      write_numbers(out, metric.sum().points());
      number_if_any(out, "aggregationTemporality", metric.sum().temporality());
      flag_if_set(out, "isMonotonic", metric.sum().monotonic());
    });
  if (metric.has_histogram()) object(out, "histogram", [&] { write_histogram(out, metric.histogram()); });
}

// The parts that all signals have around their items.
template <typename Groups, typename Write>
std::string write_request(std::string_view groups_name, const Groups& groups, const Write& write_scopes) {
  JsonText out;
  out.begin('{');
  objects(out, groups_name, groups, [&](const auto& group) {
    if (group.has_resource()) object(out, "resource", [&] { write_attributes(out, group.resource().attributes()); });
    write_scopes(out, group);
    text_if_any(out, "schemaUrl", group.schema_url());
  });
  out.end('}');
  return std::move(out).take();
}
template <typename Scope, typename Items, typename Write>
void write_scope(JsonText& out, const Scope& scope, std::string_view name, const Items& items, const Write& write) {
  if (scope.has_scope())
    object(out, "scope", [&] {
      text_if_any(out, "name", scope.scope().name());
      text_if_any(out, "version", scope.scope().version());
    });
  objects(out, name, items, [&](const auto& item) { write(out, item); });
  text_if_any(out, "schemaUrl", scope.schema_url());
}

template <typename Message>
Message& parsed(Arena& arena, std::string_view bytes) {
  auto& message = *Arena::CreateMessage<Message>(&arena);
  (void)message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));  // our own
  return message;
}

// 64-bit numbers come as text or as numbers.
int64_t number_of(const codec::Node& node) {
  int64_t number = 0;
  const auto [end, error] = std::from_chars(node.text.data(), node.text.data() + node.text.size(), number);
  return error == std::errc{} ? number : 0;
}
std::string text_at(const codec::Node& node, std::string_view name) {
  const auto* const found = node.find(name);
  return found != nullptr && found->is_string() ? found->text : std::string();
}

}  // namespace

std::string to_otlp_json(OtlpSignal signal, std::string_view request) {
  Arena arena;
  switch (signal) {
    case OtlpSignal::kTraces: {
      const auto& message = parsed<otel::trace::v1::ExportTraceServiceRequest>(arena, request);
      return write_request("resourceSpans", message.resource_spans(), [](JsonText& out, const auto& group) {
        objects(out, "scopeSpans", group.scope_spans(),
                [&](const auto& scope) { write_scope(out, scope, "spans", scope.spans(), write_span); });
      });
    }
    case OtlpSignal::kMetrics: {
      const auto& message = parsed<otel::metrics::v1::ExportMetricsServiceRequest>(arena, request);
      return write_request("resourceMetrics", message.resource_metrics(), [](JsonText& out, const auto& group) {
        objects(out, "scopeMetrics", group.scope_metrics(),
                [&](const auto& scope) { write_scope(out, scope, "metrics", scope.metrics(), write_metric); });
      });
    }
    case OtlpSignal::kLogs: {
      const auto& message = parsed<otel::logs::v1::ExportLogsServiceRequest>(arena, request);
      return write_request("resourceLogs", message.resource_logs(), [](JsonText& out, const auto& group) {
        objects(out, "scopeLogs", group.scope_logs(),
                [&](const auto& scope) { write_scope(out, scope, "logRecords", scope.log_records(), write_record); });
      });
    }
  }
  return {};
}

std::optional<OtlpAnswer> decode_json_answer(std::string_view text) {
  const auto root = codec::parse_json(text, "answer");
  if (!root || !root->is_map()) return std::nullopt;
  OtlpAnswer answer;
  const auto* const partial = root->find("partialSuccess");
  if (partial == nullptr || !partial->is_map()) return answer;
  for (const auto* name : {"rejectedSpans", "rejectedDataPoints", "rejectedLogRecords"})
    if (const auto* const rejected = partial->find(name)) answer.rejected = std::max<int64_t>(number_of(*rejected), 0);
  answer.message = text_at(*partial, "errorMessage");
  return answer;
}

OtlpRefusal decode_json_refusal(std::string_view text) {
  const auto root = codec::parse_json(text, "answer");
  if (!root || !root->is_map()) return {};
  return {text_at(*root, "message"), std::nullopt};  // when to come again is the header's word (Retry-After)
}

}  // namespace pintle::telemetry
