// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "fakes/otlp/otlp_json_request.h"

#include <stdexcept>

namespace pintle::fakes {
namespace {

using nlohmann::json;

// 64-bit numbers are text.
template <typename Number>
Number wide(const json& in, const char* name) {
  if (!in.contains(name)) return 0;
  const auto& text = in.at(name).get_ref<const std::string&>();  // throws for a number
  return std::is_signed_v<Number> ? static_cast<Number>(std::stoll(text)) : static_cast<Number>(std::stoull(text));
}
int64_t number(const json& in, const char* name) {
  if (!in.contains(name)) return 0;
  if (!in.at(name).is_number_integer()) throw std::invalid_argument(name);  // an enum's name, say
  return in.at(name).get<int64_t>();
}
std::string text(const json& in, const char* name) { return in.value(name, std::string()); }
std::string id(const json& in, const char* name) {
  const auto hex = text(in, name);
  if (hex.size() % 16 != 0 || hex.find_first_not_of("0123456789abcdef") != std::string::npos) throw std::invalid_argument(name);
  return hex;
}

json value(const json& in) {
  if (in.size() != 1) throw std::invalid_argument("value");
  const std::string kind = in.begin().key();
  const json& inner = in.begin().value();
  if (kind == "intValue") return wide<int64_t>(in, "intValue");
  if (kind == "stringValue" || kind == "boolValue" || kind == "doubleValue") return inner;
  if (kind != "arrayValue") throw std::invalid_argument(kind);
  json list = json::array();
  for (const auto& one : inner.value("values", json::array())) list.push_back(value(one));
  return list;
}
json object(const json& owner) {
  json out = json::object();
  for (const auto& one : owner.value("attributes", json::array())) out[text(one, "key")] = value(one.at("value"));
  return out;
}

json span(const json& in) {
  const json status = in.value("status", json::object());
  json out = {{"traceId", id(in, "traceId")},
              {"spanId", id(in, "spanId")},
              {"parentSpanId", id(in, "parentSpanId")},
              {"flags", number(in, "flags")},
              {"name", text(in, "name")},
              {"kind", number(in, "kind")},
              {"start", wide<uint64_t>(in, "startTimeUnixNano")},
              {"end", wide<uint64_t>(in, "endTimeUnixNano")},
              {"attributes", object(in)},
              {"events", json::array()},
              {"links", json::array()},
              {"status", number(status, "code")},
              {"message", text(status, "message")}};
  for (const auto& event : in.value("events", json::array()))
    out["events"].push_back(
        {{"name", text(event, "name")}, {"time", wide<uint64_t>(event, "timeUnixNano")}, {"attributes", object(event)}});
  for (const auto& link : in.value("links", json::array()))
    out["links"].push_back({{"traceId", id(link, "traceId")}, {"spanId", id(link, "spanId")}});
  return out;
}

json point(const json& metric, const char* type, const json& in) {
  return {{"name", text(metric, "name")},
          {"unit", text(metric, "unit")},
          {"description", text(metric, "description")},
          {"type", type},
          {"attributes", object(in)},
          {"start", wide<uint64_t>(in, "startTimeUnixNano")},
          {"time", wide<uint64_t>(in, "timeUnixNano")}};
}

void add_points(const json& metric, json& list) {
  for (const char* type : {"gauge", "sum", "histogram"}) {
    if (!metric.contains(type)) continue;
    const auto& data = metric.at(type);
    for (const auto& in : data.value("dataPoints", json::array())) {
      auto out = point(metric, type, in);
      const bool whole = in.contains("asInt");
      if (whole || in.contains("asDouble")) out["value"] = whole ? json(wide<int64_t>(in, "asInt")) : in.at("asDouble");
      if (*type != 'g') out["temporality"] = number(data, "aggregationTemporality");
      if (*type == 's') out["monotonic"] = data.value("isMonotonic", false);
      if (*type == 'h') {
        out["count"] = wide<uint64_t>(in, "count");
        out["sum"] = in.at("sum").get<double>();
        out["buckets"] = json::array();
        for (const auto& bucket : in.value("bucketCounts", json::array())) out["buckets"].push_back(std::stoull(bucket.get<std::string>()));
        out["bounds"] = in.value("explicitBounds", json::array());
      }
      list.push_back(std::move(out));
    }
  }
}

json record(const json& in) {
  return {{"time", wide<uint64_t>(in, "timeUnixNano")},
          {"observed", wide<uint64_t>(in, "observedTimeUnixNano")},
          {"severity", number(in, "severityNumber")},
          {"severityText", text(in, "severityText")},
          {"body", in.contains("body") ? value(in.at("body")) : json()},
          {"eventName", text(in, "eventName")},
          {"attributes", object(in)},
          {"traceId", id(in, "traceId")},
          {"spanId", id(in, "spanId")},
          {"flags", number(in, "flags")}};
}

json items_of(const json& scope, const std::string& signal) {
  json items = json::array();
  if (signal == "traces")
    for (const auto& in : scope.value("spans", json::array())) items.push_back(span(in));
  else if (signal == "metrics")
    for (const auto& in : scope.value("metrics", json::array())) add_points(in, items);
  else
    for (const auto& in : scope.value("logRecords", json::array())) items.push_back(record(in));
  return items;
}

}  // namespace

json items_of_json(const CollectorRequest& request) {
  const std::string kind = request.signal == "traces" ? "Spans" : request.signal == "metrics" ? "Metrics" : "Logs";
  try {
    json list = json::array();
    for (const auto& group : json::parse(request.body).value("resource" + kind, json::array()))
      for (const auto& scope : group.value("scope" + kind, json::array()))
        for (auto& item : items_of(scope, request.signal)) {
          item["resource"] = object(group.value("resource", json::object()));
          const json named = scope.value("scope", json::object());
          item["scope"] = {{"name", text(named, "name")}, {"version", text(named, "version")}};
          list.push_back(std::move(item));
        }
    return list;
  } catch (const std::exception&) {
    return nullptr;
  }
}

}  // namespace pintle::fakes
