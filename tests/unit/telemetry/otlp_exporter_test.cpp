// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The one thread: what feeds it, that nobody waits for it, and its end.
#include "telemetry/otlp_exporter.h"

#include <fcntl.h>

#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "base/unique_fd.h"
#include "fakes/agent/fake_agent_view.h"
#include "fakes/otlp/otlp_json.h"
#include "unit/server/agent_samples.h"
#include "unit/telemetry/otlp_fixture.h"

using namespace pintle;
using namespace pintle::telemetry;
using namespace std::chrono_literals;
using test::Protocol;

namespace {

class Quiet {  // log lines of the test go nowhere but to the tap
 public:
  Quiet() { install_log_sink({.level = LogLevel::kDebug, .fd = null_.get()}); }
  ~Quiet() {
    set_log_sink(nullptr);
    set_log_level(LogLevel::kInfo);
  }

 private:
  UniqueFd null_{::open("/dev/null", O_WRONLY | O_CLOEXEC)};
};

ports::Span span_of(const TraceContext& context) { return {.context = context, .name = "s", .start = test::kNow, .end = test::kNow}; }

}  // namespace

TEST_CASE("lines and events go to the collector as they come, lines of a span in its trace") {
  const auto protocol = GENERATE(Protocol::kHttp, Protocol::kGrpc);
  const Quiet quiet;
  const SystemClock clock;
  const auto collector = test::collector(protocol);
  fakes::FakeAgentView agent;
  agent.put(test::running_pod());
  OtlpExporterOptions options;
  for (auto& limits : options.pipeline.limits) limits.patience = 1ms;
  OtlpExporter exporter(options, test::transport(protocol, collector->port()), clock);
  const auto context = exporter.begin(std::nullopt);
  PINTLE_LOG(kError, "before", "nobody listens yet");
  exporter.start(agent);
  {
    const TraceScope scope(context);
    PINTLE_LOG(kWarning, "bpf", "attach '{}'", "egress");
  }
  PINTLE_LOG(kDebug, "main", "outside");
  agent.emit({.kind = model::ProgramEventKind::kExec, .uid = PodUid("uid-default-web"), .time = test::kNow, .comm = "sh"});
  exporter.record(span_of(context));
  exporter.stop();
  exporter.record(span_of(context));  // too late, and harmless
  PINTLE_LOG(kError, "after", "nobody listens any more");
  agent.wait_for_ebpf_watchers(0);

  nlohmann::json logs = nlohmann::json::array(), spans = logs;
  for (const auto& request : collector->requests())
    for (const auto& item : fakes::to_json(request)) (request.signal == "logs" ? logs : spans).push_back(item);
  REQUIRE(spans.size() == 1);
  REQUIRE(logs.size() == 3);
  CHECK(logs[0]["body"] == "attach 'egress'");
  CHECK(logs[0]["severity"] == 13);
  CHECK(logs[0]["attributes"]["pintle.component"] == "bpf");
  CHECK(logs[0]["traceId"] == to_hex(context.trace));
  CHECK(logs[0]["spanId"] == to_hex(context.span));
  CHECK(logs[1]["traceId"] == "");
  CHECK(logs[2]["eventName"] == "pintle.ebpf.exec");
}

TEST_CASE("traces that begin here are sampled, others are as their caller has them") {
  const SystemClock clock;
  const auto collector = test::collector(Protocol::kHttp);
  OtlpExporterOptions options;
  options.logs = false;
  options.sampling = 0;
  OtlpExporter exporter(options, test::transport(Protocol::kHttp, collector->port()), clock);
  CHECK_FALSE(exporter.begin(std::nullopt).sampled);
  const auto caller = new_trace(true);
  const auto inside = exporter.begin(caller);
  CHECK(inside.sampled);
  CHECK(inside.trace == caller.trace);
  CHECK(inside.span != caller.span);
  CHECK_FALSE(exporter.begin(new_trace(false)).sampled);
  fakes::FakeAgentView agent;
  exporter.start(agent);
  exporter.record(span_of(exporter.begin(std::nullopt)));
  exporter.record(span_of(inside));
  exporter.stop();
  REQUIRE(collector->requests().size() == 1);
  CHECK(fakes::to_json(collector->requests()[0]).size() == 1);
}

TEST_CASE("a sampler that is not parent-based decides by the id, whatever the caller has decided") {
  const SystemClock clock;
  const auto collector = test::collector(Protocol::kHttp);
  for (const double share : {0.0, 1.0}) {
    OtlpExporterOptions options;
    options.sampling = share;
    options.parent_based = false;
    OtlpExporter exporter(options, test::transport(Protocol::kHttp, collector->port()), clock);
    for (const bool sampled : {false, true}) {
      const auto caller = new_trace(sampled);
      const auto inside = exporter.begin(caller);
      CHECK(inside.trace == caller.trace);
      CHECK(inside.span != caller.span);
      CHECK(inside.sampled == (share == 1.0));
    }
  }
}

TEST_CASE("a collector that does not answer keeps nobody waiting, and a stop only for as long as it may") {
  const auto protocol = GENERATE(Protocol::kHttp, Protocol::kGrpc);
  const SystemClock clock;
  const auto collector = test::collector(protocol);
  for (int i = 0; i < 100; ++i) collector->answer_next({.hang = true});
  OtlpExporterOptions options;
  for (auto& limits : options.pipeline.limits) limits.patience = 0ms;
  options.flush = 50ms;
  OtlpExporter exporter(options, test::transport(protocol, collector->port(), {}, 1h), clock);
  fakes::FakeAgentView agent;
  exporter.start(agent);
  exporter.record(span_of(exporter.begin(std::nullopt)));
  collector->wait_for(1);  // the worker is stuck now, for an hour
  for (int i = 0; i < 10'000; ++i) exporter.record(span_of(exporter.begin(std::nullopt)));
  CHECK(exporter.counts().of(OtlpSignal::kTraces).dropped >= 10'000 - 2048);
  exporter.stop();
  const auto counts = exporter.counts().of(OtlpSignal::kTraces);
  CHECK(counts.dropped == 10'001);
  CHECK(counts.queued == 0);
}

TEST_CASE("a collector that does not answer keeps no other one waiting, and counts are those of all") {
  const SystemClock clock;
  const auto stuck = test::collector(Protocol::kHttp), good = test::collector(Protocol::kGrpc);
  for (int i = 0; i < 100; ++i) stuck->answer_next({.hang = true});
  OtlpExporterOptions options;
  for (auto& limits : options.pipeline.limits) limits.patience = 0ms;
  options.pipeline.interval = 1ms;
  options.pipeline.figures = [](MetricWriter& out) {
    out.family("g", MetricType::kGauge, "g");
    out.sample({}, uint64_t{1});
  };
  options.logs = false;
  options.flush = 50ms;
  OtlpDestinations destinations;
  destinations.transports.push_back(test::transport(Protocol::kHttp, stuck->port(), {}, 1h));
  destinations.transports.push_back(test::transport(Protocol::kGrpc, good->port()));
  destinations.which[index_of(OtlpSignal::kMetrics)] = 1;
  OtlpExporter exporter(options, std::move(destinations), clock);
  fakes::FakeAgentView agent;
  exporter.start(agent);
  exporter.record(span_of(exporter.begin(std::nullopt)));
  stuck->wait_for(1);  // its worker is stuck now, for an hour
  good->wait_for(good->requests().size() + 5);
  exporter.stop();
  CHECK(stuck->requests().size() == 1);
  CHECK(exporter.counts().of(OtlpSignal::kTraces) == OtlpSignalCounts{.dropped = 1, .failures = 1});
  CHECK(exporter.counts().of(OtlpSignal::kMetrics) == OtlpSignalCounts{.exported = good->requests().size()});
  for (const auto& request : good->requests()) CHECK(request.signal == "metrics");
}
