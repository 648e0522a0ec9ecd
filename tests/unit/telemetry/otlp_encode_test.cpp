// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The bytes on the wire: written out by hand once, and read back by the protocol's own definitions where they are installed.
#include "telemetry/otlp_encode.h"

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "fakes/otlp/otlp_json.h"
#include "telemetry/otlp_metrics.h"
#include "unit/server/agent_samples.h"
#include "unit/telemetry/otlp_samples.h"

using namespace pintle;
using namespace pintle::telemetry;
using namespace std::string_literals;

namespace {

using test::full_span;
using test::kContext;
using test::kOrigin;
using test::kTime;

nlohmann::json json_of(const char* signal, std::string body) { return fakes::to_json({signal, std::move(body), {}, {}, {}, {}}); }

// A message by the official definitions, as protoc's text. Empty: they are not here.
std::string by_official(const std::string& file, const std::string& type, const std::string& bytes) {
  const std::string root = "/usr/include";
  if (!std::filesystem::exists(root + "/" + file)) return {};
  test::TempDir dir;
  std::ofstream(dir / "message", std::ios::binary) << bytes;
  const std::string command = "protoc -I " + root + " --decode=" + type + " " + root + "/" + file + " < " + (dir / "message") + " 2>&1";
  std::string text;
  std::array<char, 4096> buffer{};
  FILE* const out = ::popen(command.c_str(), "r");
  REQUIRE(out != nullptr);
  while (const size_t n = std::fread(buffer.data(), 1, buffer.size(), out)) text.append(buffer.data(), n);
  REQUIRE(::pclose(out) == 0);
  return text;
}

// A field that the definitions don't know is a number with a colon or a brace.
bool has_unknown_field(const std::string& text) {
  bool at_start = true;
  for (const char c : text) {
    if (at_start && c >= '0' && c <= '9') return true;
    if (c != ' ') at_start = c == '\n';
  }
  return false;
}

}  // namespace

TEST_CASE("a span in bytes") {
  ports::Span span{.context = kContext, .name = "a", .start = kTime, .end = kTime};
  const auto body = encode_spans({.resource = {{"r", "v"s}}, .version = "1"}, std::span(&span, 1));
  const std::string ids =
      "\x0a\x10\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36"  // 1: trace_id
      "\x12\x08\x00\xf0\x67\xaa\x0b\xa9\x02\xb7"s;                                // 2: span_id
  const std::string rest =
      "\x2a\x01"
      "a"                                     // 5: name
      "\x30\x01"                              // 6: kind internal
      "\x39\x08\x07\x06\x05\x04\x03\x02\x01"  // 7: start
      "\x41\x08\x07\x06\x05\x04\x03\x02\x01"  // 8: end
      "\x85\x01\x01\x01\x00\x00"s;            // 16: flags
  const std::string one = ids + rest;
  const std::string scope =
      "\x0a\x0b\x0a\x06pintle\x12\x01"
      "1"s +
      "\x12" + static_cast<char>(one.size()) + one;  // 1: scope, 2: span
  const std::string resource =
      "\x0a\x0a\x0a\x08\x0a\x01"
      "r\x12\x03\x0a\x01v"s;                                                              // 1: resource
  const std::string group = resource + "\x12" + static_cast<char>(scope.size()) + scope;  // 2: scope_spans
  CHECK(body == "\x0a" + (static_cast<char>(group.size()) + group));
}

TEST_CASE("a span with all it may have is read back") {
  const auto span = full_span();
  const auto spans = json_of("traces", encode_spans(kOrigin, std::span(&span, 1)));
  REQUIRE(spans.size() == 1);
  const auto& told = spans[0];
  CHECK(told["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736");
  CHECK(told["spanId"] == "00f067aa0ba902b7");
  CHECK(told["parentSpanId"] == "0102030405060708");
  CHECK(told["flags"] == 0x301);
  CHECK(told["attributes"] == nlohmann::json({{"k8s.pod.name", "web"}, {"links", 4}, {"on", true}, {"share", 0.5}, {"hooks", {"egress"}}}));
  CHECK(told["events"][0]["attributes"]["errno"] == 1);
  CHECK(told["links"][0]["traceId"] == told["traceId"]);
  CHECK(told["status"] == 2);
  CHECK(told["message"] == "egress: not permitted");
  CHECK(told["resource"] == nlohmann::json({{"service.name", "pintled"}}));
  CHECK(told["scope"] == nlohmann::json({{"name", "pintle"}, {"version", "1"}}));
}

TEST_CASE("a clock that went back makes no span that ends before it begins") {
  const ports::Span span{.context = kContext, .name = "a", .start = kTime, .end = kTime - std::chrono::seconds(1)};
  const auto told = json_of("traces", encode_spans(kOrigin, std::span(&span, 1)))[0];
  CHECK(told["start"] == told["end"]);
}

TEST_CASE("severities of log lines, and whose trace they belong to") {
  struct Row {
    LogLevel level;
    int number;
    const char* text;
  };
  for (const auto& row : {Row{LogLevel::kDebug, 5, "DEBUG"}, Row{LogLevel::kInfo, 9, "INFO"}, Row{LogLevel::kWarning, 13, "WARN"},
                          Row{LogLevel::kError, 17, "ERROR"}}) {
    const LogRecord record{.time = kTime, .observed = kTime, .level = row.level, .body = "b\xff", .trace = kContext};
    const auto told = json_of("logs", encode_logs(kOrigin, std::span(&record, 1)))[0];
    CHECK(told["severity"] == row.number);
    CHECK(told["severityText"] == row.text);
    CHECK(told["body"] == "b?");  // not UTF-8
    CHECK(told["traceId"] == "4bf92f3577b34da6a3ce929d0e0e4736");
    CHECK(told["flags"] == 1);
  }
}

TEST_CASE("names of metrics without what the protocol says elsewhere") {
  struct Row {
    const char *name, *expected, *unit;
  };
  for (const auto& row :
       {Row{"pintle_pod_network_bytes_total", "pintle.pod.network", "By"},
        Row{"pintle_pod_network_packets_total", "pintle.pod.network.packets", "{packet}"},
        Row{"pintle_pod_network_drops_total", "pintle.pod.network.drops", "{packet}"}, Row{"process_cpu_seconds_total", "process.cpu", "s"},
        Row{"pintle_pods", "pintle.pods", "{pod}"}, Row{"pintle_ebpf_map_entries", "pintle.ebpf.map.entries", "{entry}"},
        Row{"pintle_component_up", "pintle.component.up", ""}}) {
    INFO(row.name);
    CHECK(otlp_name(row.name) == OtlpName{row.expected, row.unit});
  }
}

TEST_CASE("counters are cumulative sums, gauges gauges, summaries histograms of one bucket") {
  OtlpMetricWriter writer(kOrigin, kTime);
  writer.since(kTime - std::chrono::seconds(5));
  writer.family("c_bytes_total", MetricType::kCounter, "help");
  writer.sample({{"pod", "web"}, {"direction", "receive"}}, uint64_t{7});
  writer.since(kTime + std::chrono::seconds(1));  // not before now by a clock that went back
  writer.sample({{"pod", "db"}}, 0.5);
  writer.family("g", MetricType::kGauge, "help");
  writer.sample({}, ~uint64_t{0});
  writer.family("empty", MetricType::kGauge, "help");
  writer.family("s_seconds", MetricType::kSummary, "help");
  writer.summary({}, 2.5, 4);
  CHECK(writer.points() == 4);
  const auto points = json_of("metrics", writer.finish());
  REQUIRE(points.size() == 4);
  const uint64_t now = 0x0102030405060708;
  CHECK(points[0]["name"] == "c");
  CHECK(points[0]["unit"] == "By");
  CHECK(points[0]["type"] == "sum");
  CHECK(points[0]["temporality"] == 2);
  CHECK(points[0]["monotonic"] == true);
  CHECK(points[0]["value"] == 7);
  CHECK(points[0]["attributes"] == nlohmann::json({{"k8s.pod.name", "web"}, {"network.io.direction", "receive"}}));
  CHECK(points[0]["start"] == now - 5'000'000'000);
  CHECK(points[0]["time"] == now);
  CHECK(points[1]["start"] == now);
  CHECK(points[1]["value"] == 0.5);
  CHECK(points[2]["type"] == "gauge");
  CHECK(points[2]["value"] == std::numeric_limits<int64_t>::max());
  CHECK(points[2]["start"] == 0);
  CHECK(points[3]["type"] == "histogram");
  CHECK(points[3]["count"] == 4);
  CHECK(points[3]["sum"] == 2.5);
  CHECK(points[3]["buckets"] == nlohmann::json({4}));
  CHECK(points[3]["bounds"] == nlohmann::json::array());
}

TEST_CASE("the protocol's own definitions read what we write") {
  const auto span = full_span();
  const auto traces =
      by_official("opentelemetry/proto/collector/trace/v1/trace_service.proto",
                  "opentelemetry.proto.collector.trace.v1.ExportTraceServiceRequest", encode_spans(kOrigin, std::span(&span, 1)));
  if (traces.empty()) SKIP("the package opentelemetry-proto is not installed");
  INFO(traces);
  CHECK_FALSE(has_unknown_field(traces));
  for (const char* line : {"trace_id: \"K\\371", "parent_span_id: \"\\001\\002", "kind: SPAN_KIND_INTERNAL", "code: STATUS_CODE_ERROR",
                           "message: \"egress: not permitted\"", "flags: 769", "string_value: \"pintled\"", "name: \"hook.refused\""})
    CHECK(traces.find(line) != std::string::npos);

  LogRecord record{.time = kTime, .observed = kTime, .level = LogLevel::kWarning, .body = "text", .event_name = "pintle.ebpf.oom"};
  record.trace = kContext;
  const auto logs =
      by_official("opentelemetry/proto/collector/logs/v1/logs_service.proto",
                  "opentelemetry.proto.collector.logs.v1.ExportLogsServiceRequest", encode_logs(kOrigin, std::span(&record, 1)));
  INFO(logs);
  CHECK_FALSE(has_unknown_field(logs));
  for (const char* line :
       {"severity_number: SEVERITY_NUMBER_WARN\n", "observed_time_unix_nano: 72623859790382856", "event_name: \"pintle.ebpf.oom\""})
    CHECK(logs.find(line) != std::string::npos);

  OtlpMetricWriter writer(kOrigin, kTime);
  writer.family("c_total", MetricType::kCounter, "help");
  writer.sample({}, uint64_t{7});
  writer.family("g", MetricType::kGauge, "help");
  writer.sample({}, 0.5);
  writer.family("s_seconds", MetricType::kSummary, "help");
  writer.summary({}, 2.5, 4);
  const auto metrics = by_official("opentelemetry/proto/collector/metrics/v1/metrics_service.proto",
                                   "opentelemetry.proto.collector.metrics.v1.ExportMetricsServiceRequest", writer.finish());
  INFO(metrics);
  CHECK_FALSE(has_unknown_field(metrics));
  for (const char* line : {"aggregation_temporality: AGGREGATION_TEMPORALITY_CUMULATIVE", "is_monotonic: true", "as_int: 7",
                           "as_double: 0.5", "bucket_counts: 4", "sum: 2.5", "count: 4", "unit: \"s\""})
    CHECK(metrics.find(line) != std::string::npos);
}
