// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "fakes/otlp/otlp_json.h"

#include "fakes/otlp/otlp_json_request.h"

#include "otlp/logs_service.pb.h"
#include "otlp/metrics_service.pb.h"
#include "otlp/trace_service.pb.h"

namespace pintle::fakes {
namespace {

using nlohmann::json;
namespace otel = opentelemetry::proto::collector;

std::string hex(const std::string& bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    text += {kDigits[byte >> 4U], kDigits[byte & 15U]};
  }
  return text;
}

json value(const otlp::AnyValue& any) {
  switch (any.value_case()) {
    case otlp::AnyValue::kStringValue: return any.string_value();
    case otlp::AnyValue::kBoolValue: return any.bool_value();
    case otlp::AnyValue::kIntValue: return any.int_value();
    case otlp::AnyValue::kDoubleValue: return any.double_value();
    case otlp::AnyValue::kBytesValue: return hex(any.bytes_value());
    case otlp::AnyValue::kArrayValue: {
      json list = json::array();
      for (const auto& one : any.array_value().values()) list.push_back(value(one));
      return list;
    }
    case otlp::AnyValue::VALUE_NOT_SET: break;
  }
  return nullptr;
}

template <typename Attributes>
json object(const Attributes& attributes) {
  json out = json::object();
  for (const auto& one : attributes) out[one.key()] = value(one.value());
  return out;
}

json span(const otlp::Span& in) {
  json out = {{"traceId", hex(in.trace_id())},
              {"spanId", hex(in.span_id())},
              {"parentSpanId", hex(in.parent_span_id())},
              {"flags", in.flags()},
              {"name", in.name()},
              {"kind", static_cast<int>(in.kind())},
              {"start", in.start_time_unix_nano()},
              {"end", in.end_time_unix_nano()},
              {"attributes", object(in.attributes())},
              {"events", json::array()},
              {"links", json::array()},
              {"status", static_cast<int>(in.status().code())},
              {"message", in.status().message()}};
  for (const auto& event : in.events())
    out["events"].push_back({{"name", event.name()}, {"time", event.time_unix_nano()}, {"attributes", object(event.attributes())}});
  for (const auto& link : in.links()) out["links"].push_back({{"traceId", hex(link.trace_id())}, {"spanId", hex(link.span_id())}});
  return out;
}

template <typename Point>
json point(const otlp::Metric& metric, const char* type, const Point& in) {
  return {{"name", metric.name()},
          {"unit", metric.unit()},
          {"description", metric.description()},
          {"type", type},
          {"attributes", object(in.attributes())},
          {"start", in.start_time_unix_nano()},
          {"time", in.time_unix_nano()}};
}

json number(const otlp::Metric& metric, const char* type, const otlp::NumberPoint& in) {
  auto out = point(metric, type, in);
  if (in.value_case() == otlp::NumberPoint::kAsInt)
    out["value"] = in.as_int();
  else
    out["value"] = in.as_double();
  return out;
}

json points(const otlp::Metric& metric) {
  json list = json::array();
  for (const auto& in : metric.gauge().points()) list.push_back(number(metric, "gauge", in));
  for (const auto& in : metric.sum().points()) {
    auto out = number(metric, "sum", in);
    out["temporality"] = static_cast<int>(metric.sum().temporality());
    out["monotonic"] = metric.sum().monotonic();
    list.push_back(std::move(out));
  }
  for (const auto& in : metric.histogram().points()) {
    auto out = point(metric, "histogram", in);
    out["temporality"] = static_cast<int>(metric.histogram().temporality());
    out["count"] = in.count();
    out["sum"] = in.sum();
    out["buckets"] = std::vector<uint64_t>(in.bucket_counts().begin(), in.bucket_counts().end());
    out["bounds"] = std::vector<double>(in.explicit_bounds().begin(), in.explicit_bounds().end());
    list.push_back(std::move(out));
  }
  return list;
}

json record(const otlp::LogRecord& in) {
  return {{"time", in.time_unix_nano()},
          {"observed", in.observed_time_unix_nano()},
          {"severity", in.severity_number()},
          {"severityText", in.severity_text()},
          {"body", value(in.body())},
          {"eventName", in.event_name()},
          {"attributes", object(in.attributes())},
          {"traceId", hex(in.trace_id())},
          {"spanId", hex(in.span_id())},
          {"flags", in.flags()}};
}

void add(json& list, json item, const otlp::Resource& resource, const otlp::Scope& scope) {
  item["resource"] = object(resource.attributes());
  item["scope"] = {{"name", scope.name()}, {"version", scope.version()}};
  list.push_back(std::move(item));
}

}  // namespace

json to_json(const CollectorRequest& request) {
  if (const auto type = request.headers.find("content-type"); type != request.headers.end() && type->second == "application/json")
    return items_of_json(request);
  json list = json::array();
  if (request.signal == "traces") {
    otel::trace::v1::ExportTraceServiceRequest message;
    if (!message.ParseFromString(request.body)) return nullptr;
    for (const auto& group : message.resource_spans())
      for (const auto& scope : group.scope_spans())
        for (const auto& in : scope.spans()) add(list, span(in), group.resource(), scope.scope());
  } else if (request.signal == "metrics") {
    otel::metrics::v1::ExportMetricsServiceRequest message;
    if (!message.ParseFromString(request.body)) return nullptr;
    for (const auto& group : message.resource_metrics())
      for (const auto& scope : group.scope_metrics())
        for (const auto& metric : scope.metrics())
          for (auto& in : points(metric)) add(list, std::move(in), group.resource(), scope.scope());
  } else {
    otel::logs::v1::ExportLogsServiceRequest message;
    if (!message.ParseFromString(request.body)) return nullptr;
    for (const auto& group : message.resource_logs())
      for (const auto& scope : group.scope_logs())
        for (const auto& in : scope.log_records()) add(list, record(in), group.resource(), scope.scope());
  }
  return list;
}

}  // namespace pintle::fakes
