// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// OTLP's JSON: written out by hand once, and read back by protobuf's own JSON reader with the protocol's own definitions, where they are
// installed: what comes out must be the very bytes that the JSON was made of.
#include "telemetry/otlp_json.h"

#include <cstdlib>
#include <filesystem>
#include <limits>
#include <memory>

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/util/json_util.h>
#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "codec/text.h"
#include "fakes/otlp/otlp_json.h"
#include "fakes/store/temp_dir.h"
#include "telemetry/otlp_metrics.h"
#include "unit/telemetry/otlp_samples.h"

using namespace pintle;
using namespace pintle::telemetry;
using nlohmann::json;
using test::full_span;
using test::kContext;
using test::kOrigin;
using test::kTime;

namespace {

std::string all_spans() {
  auto strange = full_span();
  strange.name = "quote \" backslash \\ line\n bell \a umlaut \u00e4";
  strange.error.reset();
  strange.parent = {};
  strange.attributes = {{"none", std::vector<std::string>{}},
                        {"least", std::numeric_limits<int64_t>::min()},
                        {"off", false},
                        {"zero", 0.0},
                        {"tiny", 5e-324},
                        {"infinite", -std::numeric_limits<double>::infinity()},
                        {"", std::string()}};
  const std::vector<ports::Span> spans = {full_span(), strange};
  return encode_spans(kOrigin, spans);
}

std::string all_records() {
  LogRecord full{.time = kTime, .observed = kTime, .level = LogLevel::kWarning, .body = "text", .event_name = "pintle.ebpf.oom"};
  full.trace = kContext;
  full.attributes = {{"process.pid", int64_t{7}}};
  const std::vector<LogRecord> records = {full, LogRecord{}};
  return encode_logs(kOrigin, records);
}

std::string all_figures() {
  OtlpMetricWriter writer(kOrigin, kTime);
  writer.family("c_total", MetricType::kCounter, "help");
  writer.sample({{"pod", "web"}}, ~uint64_t{0});
  writer.sample({{"pod", "db"}}, uint64_t{0});
  writer.family("g", MetricType::kGauge, "help");
  writer.sample({}, 0.5);
  writer.sample({}, std::numeric_limits<double>::quiet_NaN());
  writer.family("s_seconds", MetricType::kSummary, "help");
  writer.summary({}, 2.5, 4);
  writer.summary({{"pod", "db"}}, 0, 0);
  return writer.finish();
}

// Ids as protobuf's own mapping has them.
void ids_to_base64(json& node) {
  if (!node.is_structured()) return;
  for (auto& [name, value] : node.items()) {
    if (name != "traceId" && name != "spanId" && name != "parentSpanId") {
      ids_to_base64(value);
      continue;
    }
    std::string bytes;
    const auto hex = value.get<std::string>();
    for (size_t i = 0; i < hex.size(); i += 2) bytes += static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16));
    value = codec::encode_base64(bytes);
  }
}

// The bytes of what the official definition reads in `text`; an error's text if it can't.
std::string by_official(const std::string& file, const std::string& type, const std::string& text) {
  const fakes::TempDir dir;
  const std::string command = "protoc -I /usr/include --include_imports --descriptor_set_out=" + (dir / "set") + " /usr/include/" + file;
  REQUIRE(std::system(command.c_str()) == 0);
  google::protobuf::FileDescriptorSet set;
  REQUIRE(set.ParseFromString(fakes::read_text(dir / "set")));
  google::protobuf::DescriptorPool pool;
  for (const auto& one : set.file()) REQUIRE(pool.BuildFile(one) != nullptr);
  google::protobuf::DynamicMessageFactory factory;
  const std::unique_ptr<google::protobuf::Message> message(factory.GetPrototype(pool.FindMessageTypeByName(type))->New());
  auto tree_of_text = json::parse(text);
  ids_to_base64(tree_of_text);
  const auto read = google::protobuf::util::JsonStringToMessage(tree_of_text.dump(), message.get());  // unknown names are refused
  return read.ok() ? message->SerializeAsString() : std::string(read.message());
}

}  // namespace

TEST_CASE("a span in JSON") {
  const auto span = full_span();
  CHECK(to_otlp_json(OtlpSignal::kTraces, encode_spans(kOrigin, std::span(&span, 1))) ==
        R"({"resourceSpans":[{"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"pintled"}}]},)"
        R"("scopeSpans":[{"scope":{"name":"pintle","version":"1"},"spans":[{)"
        R"("traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","parentSpanId":"0102030405060708",)"
        R"("name":"ebpf.attach","kind":1,"startTimeUnixNano":"72623859790382856","endTimeUnixNano":"72623859790382857","attributes":[)"
        R"({"key":"k8s.pod.name","value":{"stringValue":"web"}},{"key":"links","value":{"intValue":"4"}},)"
        R"({"key":"on","value":{"boolValue":true}},{"key":"share","value":{"doubleValue":0.5}},)"
        R"({"key":"hooks","value":{"arrayValue":{"values":[{"stringValue":"egress"}]}}}],)"
        R"("events":[{"timeUnixNano":"72623859790382856","name":"hook.refused","attributes":[{"key":"errno","value":{"intValue":"1"}}]}],)"
        R"("links":[{"traceId":"4bf92f3577b34da6a3ce929d0e0e4736","spanId":"00f067aa0ba902b7","flags":1}],)"
        R"("status":{"message":"egress: not permitted","code":2},"flags":769}]}]}]})");
}

TEST_CASE("a collector reads the same in JSON as in protobuf") {
  const auto same = [](const std::string& signal, OtlpSignal kind, const std::string& bytes) {
    const auto read = fakes::to_json({signal, to_otlp_json(kind, bytes), {{"content-type", "application/json"}}, {}, {}, {}});
    REQUIRE(read.is_array());
    CHECK(read == fakes::to_json({signal, bytes, {}, {}, {}, {}}));
  };
  const auto span = full_span();
  same("traces", OtlpSignal::kTraces, encode_spans(kOrigin, std::span(&span, 1)));
  same("logs", OtlpSignal::kLogs, all_records());
  OtlpMetricWriter writer(kOrigin, kTime);
  writer.family("c_total", MetricType::kCounter, "help");
  writer.sample({{"pod", "web"}}, uint64_t{7});
  writer.family("s_seconds", MetricType::kSummary, "help");
  writer.summary({}, 2.5, 4);
  same("metrics", OtlpSignal::kMetrics, writer.finish());
}

TEST_CASE("protobuf reads our JSON by the protocol's own definitions, and it is what we have in bytes") {
  struct Row {
    OtlpSignal signal;
    std::string file, type, bytes;
  };
  const std::string root = "opentelemetry/proto/collector/", package = "opentelemetry.proto.collector.";
  const Row rows[] = {{OtlpSignal::kTraces, "trace/v1/trace_service.proto", "trace.v1.ExportTraceServiceRequest", all_spans()},
                      {OtlpSignal::kMetrics, "metrics/v1/metrics_service.proto", "metrics.v1.ExportMetricsServiceRequest", all_figures()},
                      {OtlpSignal::kLogs, "logs/v1/logs_service.proto", "logs.v1.ExportLogsServiceRequest", all_records()}};
  if (!std::filesystem::exists("/usr/include/" + root + rows[0].file)) SKIP("the package opentelemetry-proto is not installed");
  for (const auto& row : rows) {
    const auto text = to_otlp_json(row.signal, row.bytes);
    INFO(text);
    CHECK(by_official(root + row.file, package + row.type, text) == row.bytes);
  }
}

TEST_CASE("what a collector answers in JSON") {
  const auto answer = [](std::string_view text) { return decode_json_answer(text); };
  CHECK(answer("{}")->rejected == 0);
  CHECK(answer(R"({"partialSuccess":{}})")->rejected == 0);
  CHECK(answer(R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}})")->rejected == 3);
  CHECK(answer(R"({"partialSuccess":{"rejectedSpans":"3","errorMessage":"too old"}})")->message == "too old");
  CHECK(answer(R"({"partialSuccess":{"rejectedDataPoints":4}})")->rejected == 4);
  CHECK(answer(R"({"partialSuccess":{"rejectedLogRecords":"-4"}})")->rejected == 0);
  CHECK(answer(R"({"partialSuccess":{"rejectedLogRecords":{}}})")->rejected == 0);
  CHECK(answer(R"({"partialSuccess":7})")->rejected == 0);
  CHECK_FALSE(answer(""));
  CHECK_FALSE(answer("[]"));
  CHECK(decode_json_refusal(R"({"code":3,"message":"bad"})").message == "bad");
  CHECK(decode_json_refusal(R"({"message":7})").message.empty());
  CHECK(decode_json_refusal("<html>").message.empty());
}
