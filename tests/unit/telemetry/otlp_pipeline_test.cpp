// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Batches, retries, bounds and order, with time told by the test and collectors that answer as they are told.
#include "telemetry/otlp_pipeline.h"

#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "fakes/otlp/otlp_json.h"
#include "unit/standalone/manual_clock.h"
#include "unit/telemetry/otlp_fixture.h"

using namespace pintle;
using namespace pintle::telemetry;
using namespace std::chrono_literals;
using test::Protocol;

namespace {

struct Fixture {
  explicit Fixture(Protocol protocol = Protocol::kHttp) : protocol_(protocol), collector(test::collector(protocol)) {
    options.origin = {.resource = {{"service.name", std::string("pintled")}}, .version = "1"};
    options.pod_name = [](const std::string& uid) { return ports::PodNames::Name{"default", "name-of-" + uid}; };
    options.on_change = [this](OtlpSignal signal, const std::string& problem) {
      changes.push_back(std::string(to_string(signal)) + (problem.empty() ? " works" : " fails"));
    };
  }
  OtlpPipeline& pipeline() {
    if (!made_) made_ = std::make_unique<OtlpPipeline>(options, test::transport(protocol_, collector->port()), clock);
    return *made_;
  }
  static ports::Span span(const std::string& name = "s") {
    return {.context = new_trace(true), .name = name, .start = Time{1s}, .end = Time{2s}};
  }
  static LogRecord record(std::string body) { return {.time = Time{1s}, .observed = Time{1s}, .body = std::move(body)}; }
  std::optional<SteadyTime> step() { return pipeline().step({}); }
  // The next is due after `expected` at the latest, and not before `least`.
  void advance_to(const std::optional<SteadyTime>& at) {
    REQUIRE(at);
    clock.advance(std::max<Duration>(*at - clock.steady(), 0ns));
  }
  // All items of one signal that were received so far.
  [[nodiscard]] nlohmann::json received(const std::string& signal) const {
    auto all = nlohmann::json::array();
    for (const auto& request : collector->requests())
      if (request.signal == signal)
        for (const auto& item : fakes::to_json(request)) all.push_back(item);
    return all;
  }
  OtlpSignalCounts counts(OtlpSignal signal) { return pipeline().counts().of(signal); }

  Protocol protocol_;
  standalone::ManualClock clock;
  std::unique_ptr<fakes::FakeCollector> collector;
  OtlpPipelineOptions options;
  std::vector<std::string> changes;

 private:
  std::unique_ptr<OtlpPipeline> made_;
};

}  // namespace

TEST_CASE("spans wait for company, then go as one batch") {
  Fixture f(GENERATE(Protocol::kHttp, Protocol::kGrpc, Protocol::kJson, Protocol::kHttpGzip, Protocol::kGrpcGzip, Protocol::kJsonGzip));
  CHECK_FALSE(f.step());  // nothing to do, ever
  CHECK(f.pipeline().add(Fixture::span("one")));
  const auto due = f.step();
  CHECK(f.collector->requests().empty());
  CHECK_FALSE(f.pipeline().add(Fixture::span("two")));  // nobody needs to be woken for the second
  f.advance_to(due);
  CHECK_FALSE(f.step());
  REQUIRE(f.collector->requests().size() == 1);
  const auto spans = f.received("traces");
  REQUIRE(spans.size() == 2);
  CHECK(spans[0]["name"] == "one");
  CHECK(spans[1]["name"] == "two");
  CHECK(f.counts(OtlpSignal::kTraces) == OtlpSignalCounts{.exported = 2});
}

TEST_CASE("a full batch does not wait, and more than one go one after another") {
  Fixture f;
  f.options.of(OtlpSignal::kTraces).batch = 3;
  int wakes = 0;
  for (int i = 0; i < 7; ++i) wakes += f.pipeline().add(Fixture::span()) ? 1 : 0;
  CHECK(wakes == 3);  // the first, and two full batches
  CHECK(f.counts(OtlpSignal::kTraces).queued == 7);
  CHECK(f.step() == f.clock.steady());  // more is ready
  CHECK(f.step() == f.clock.steady() + f.options.of(OtlpSignal::kTraces).patience);
  f.clock.advance(f.options.of(OtlpSignal::kTraces).patience);
  (void)f.step();
  CHECK(f.collector->requests().size() == 3);
  CHECK(f.received("traces").size() == 7);
}

TEST_CASE("a queue never grows beyond its bound, and what finds no room is counted") {
  Fixture f;
  f.options.of(OtlpSignal::kTraces).most = 4;
  f.options.of(OtlpSignal::kLogs).most = 5;  // and as many events
  for (int i = 0; i < 10; ++i) {
    (void)f.pipeline().add(Fixture::span());
    (void)f.pipeline().add(Fixture::record("line"));
    (void)f.pipeline().add(model::ProgramEvent{}, f.clock.steady());
  }
  CHECK(f.counts(OtlpSignal::kTraces) == OtlpSignalCounts{.dropped = 6, .queued = 4});
  CHECK(f.counts(OtlpSignal::kLogs) == OtlpSignalCounts{.dropped = 10, .queued = 10});
}

TEST_CASE("a long line is cut, and many long ones are more than one request") {
  Fixture f;
  for (int i = 0; i < 300; ++i) (void)f.pipeline().add(Fixture::record(std::string(3 * OtlpPipeline::kLongestText, 'x')));
  f.pipeline().flush({});
  size_t largest = 0;
  for (const auto& request : f.collector->requests()) largest = std::max(largest, request.body.size());
  CHECK(f.collector->requests().size() == 3);
  CHECK(largest < 1'200'000);
  CHECK(f.received("logs")[0]["body"].get<std::string>().size() == OtlpPipeline::kLongestText + std::string("…").size());
}

TEST_CASE("a batch that is refused for now is sent again, later each time, and the very same") {
  Fixture f(GENERATE(Protocol::kHttp, Protocol::kGrpc));
  const int unavailable = f.protocol_ == Protocol::kHttp ? 503 : 14;
  for (int i = 0; i < 3; ++i) f.collector->answer_next({.status = unavailable});
  (void)f.pipeline().add(Fixture::span());
  f.advance_to(f.step());
  std::vector<Duration> waits;
  for (int i = 0; i < 3; ++i) {
    const auto next = f.step();
    REQUIRE(next);
    waits.push_back(*next - f.clock.steady());
    CHECK(f.step() == next);  // not before its time
    f.advance_to(next);
  }
  CHECK_FALSE(f.step());
  for (size_t i = 0; i < waits.size(); ++i) {
    CHECK(waits[i] >= 500ms * (1 << i));
    CHECK(waits[i] <= 1s * (1 << i));
  }
  const auto requests = f.collector->requests();
  REQUIRE(requests.size() == 4);
  for (const auto& request : requests) CHECK(request.body == requests[0].body);
  CHECK(f.counts(OtlpSignal::kTraces) == OtlpSignalCounts{.exported = 1, .failures = 3});
  CHECK(f.changes == std::vector<std::string>{"traces fails", "traces works"});
}

TEST_CASE("the collector's own wish goes over the back-off") {
  Fixture f(GENERATE(Protocol::kHttp, Protocol::kGrpc));
  f.collector->answer_next({.status = f.protocol_ == Protocol::kHttp ? 429 : 8, .retry_after_seconds = 40});
  (void)f.pipeline().add(Fixture::span());
  f.advance_to(f.step());
  CHECK(f.step() == f.clock.steady() + 40s);
}

TEST_CASE("what is refused for good is dropped, counted and told once") {
  Fixture f(GENERATE(Protocol::kHttp, Protocol::kGrpc));
  for (int i = 0; i < 2; ++i) f.collector->answer_next({.status = f.protocol_ == Protocol::kHttp ? 400 : 3});
  for (int i = 0; i < 3; ++i) {
    (void)f.pipeline().add(Fixture::span());
    for (auto next = f.step(); next; next = f.step()) f.advance_to(next);
  }
  CHECK(f.counts(OtlpSignal::kTraces) == OtlpSignalCounts{.exported = 1, .dropped = 2, .failures = 2});
  CHECK(f.changes == std::vector<std::string>{"traces fails", "traces works"});
}

TEST_CASE("a part that was not taken is counted and not sent again") {
  Fixture f(GENERATE(Protocol::kHttp, Protocol::kGrpc));
  f.collector->answer_next({.rejected = 2, .message = "too old"});
  for (int i = 0; i < 5; ++i) (void)f.pipeline().add(Fixture::span());
  f.advance_to(f.step());
  CHECK_FALSE(f.step());
  CHECK(f.counts(OtlpSignal::kTraces) == OtlpSignalCounts{.exported = 3, .rejected = 2});
}

TEST_CASE("what a collector says of what it took is logged, once in a row") {
  Fixture f(GENERATE(Protocol::kHttp, Protocol::kGrpc, Protocol::kJson));
  std::vector<std::string> lines;
  set_log_sink([&](LogLevel, std::string_view, std::string_view line) { lines.emplace_back(line); });
  const std::vector<fakes::CollectorAnswer> answers = {
      {.message = "attribute 'x' is deprecated"}, {.rejected = 1}, {}, {.rejected = 1}, {}};
  for (const auto& answer : answers) {
    f.collector->answer_next(answer);
    (void)f.pipeline().add(Fixture::span());
    f.advance_to(f.step());
    (void)f.step();
  }
  set_log_sink(nullptr);
  CHECK(lines == std::vector<std::string>{"the collector took traces, and warns: attribute 'x' is deprecated",
                                          "the collector did not take 1 of 1 traces: it does not say why"});
  CHECK(f.counts(OtlpSignal::kTraces) == OtlpSignalCounts{.exported = 3, .rejected = 2});
}

TEST_CASE("no collector silences an agent for longer than a batch is kept") {
  Fixture f(Protocol::kGrpc);
  f.collector->answer_next({.status = 14, .retry_after_seconds = 86'400});
  (void)f.pipeline().add(Fixture::span());
  f.advance_to(f.step());
  CHECK(f.step() == f.clock.steady() + f.options.of(OtlpSignal::kTraces).give_up_after);
}

TEST_CASE("figures without a point are no request") {
  Fixture f;
  f.options.figures = [](MetricWriter& out) { out.family("g", MetricType::kGauge, "g"); };
  const auto first = f.step();
  f.advance_to(first);
  CHECK(f.step() == f.clock.steady() + f.options.interval);
  f.pipeline().flush({});
  CHECK(f.collector->requests().empty());
}

TEST_CASE("a dead collector costs a bounded queue, and a batch that nobody takes is given up") {
  Fixture f(GENERATE(Protocol::kHttp, Protocol::kGrpc));
  f.options.of(OtlpSignal::kTraces).most = 10;
  f.options.of(OtlpSignal::kTraces).batch = 5;
  (void)f.pipeline();
  f.collector.reset();  // nobody listens any more
  for (int i = 0; i < 100; ++i) (void)f.pipeline().add(Fixture::span());
  CHECK(f.counts(OtlpSignal::kTraces) == OtlpSignalCounts{.dropped = 90, .queued = 10});
  const auto begun = f.clock.steady();
  while (f.counts(OtlpSignal::kTraces).dropped == 90) {
    f.advance_to(f.step());
    REQUIRE(f.clock.steady() - begun < 10min);
  }
  CHECK(f.clock.steady() - begun >= 5min);
  const auto counts = f.counts(OtlpSignal::kTraces);
  CHECK(counts.dropped == 95);
  CHECK(counts.queued == 5);
  CHECK(counts.failures > 10);
  CHECK(counts.failures < 40);  // it is not asked all the time
  CHECK(f.changes == std::vector<std::string>{"traces fails"});
}

TEST_CASE("each signal has limits of its own, and zero keeps a batch for ever") {
  Fixture f(Protocol::kHttp);
  f.options.of(OtlpSignal::kTraces).give_up_after = 0s;
  f.options.of(OtlpSignal::kLogs).give_up_after = 2s;
  f.options.of(OtlpSignal::kLogs).patience = 0s;
  (void)f.pipeline();
  f.collector.reset();  // nobody listens any more
  (void)f.pipeline().add(Fixture::span());
  (void)f.pipeline().add(Fixture::record("line"));
  (void)f.step();  // the line alone is due
  CHECK(f.counts(OtlpSignal::kLogs).failures == 1);
  CHECK(f.counts(OtlpSignal::kTraces).failures == 0);
  const auto begun = f.clock.steady();
  while (f.clock.steady() - begun < 1h) f.advance_to(f.step());
  CHECK(f.counts(OtlpSignal::kLogs).dropped == 1);
  CHECK(f.counts(OtlpSignal::kLogs).failures < 5);
  CHECK(f.counts(OtlpSignal::kTraces).dropped == 0);
  CHECK(f.counts(OtlpSignal::kTraces).queued == 1);
}

TEST_CASE("figures are asked for once an interval, and newer ones take the place of those that could not be sent") {
  Fixture f(GENERATE(Protocol::kHttp, Protocol::kGrpc));
  uint64_t asked = 0;
  f.options.figures = [&](MetricWriter& out) {
    out.family("n_total", MetricType::kCounter, "n");
    out.sample({}, ++asked);
  };
  const auto first = f.step();
  CHECK(first == f.clock.steady() + f.options.interval);
  f.collector->answer_next({.status = f.protocol_ == Protocol::kHttp ? 503 : 14, .retry_after_seconds = 100});  // beyond the interval
  f.advance_to(first);
  f.advance_to(f.step());
  for (int i = 0; i < 4; ++i) f.advance_to(f.step());
  const auto points = f.received("metrics");
  REQUIRE(points.size() >= 2);
  CHECK(points[0]["value"] == 1);
  CHECK(points[1]["value"] > 1);
  CHECK(f.counts(OtlpSignal::kMetrics).dropped >= 1);
  CHECK(f.counts(OtlpSignal::kMetrics).queued == 0);
}

TEST_CASE("a signal that fails holds up no other one") {
  Fixture f(GENERATE(Protocol::kHttp, Protocol::kGrpc));
  f.collector->answer_next({.status = f.protocol_ == Protocol::kHttp ? 503 : 14, .retry_after_seconds = 100});
  (void)f.pipeline().add(Fixture::span());
  (void)f.pipeline().add(Fixture::record("line"));
  f.advance_to(f.step());
  (void)f.step();
  CHECK(f.counts(OtlpSignal::kTraces).queued == 1);
  CHECK(f.counts(OtlpSignal::kLogs).exported == 1);
}

TEST_CASE("events leave in the kernel's order, with their pod, and late ones are marked and counted") {
  Fixture f;
  const auto event = [](int at, model::ProgramEventKind kind = model::ProgramEventKind::kConnect) {
    model::ProgramEvent made{.kind = kind,
                             .uid = PodUid("u"),
                             .cgroup_id = CgroupId(77),
                             .time = Time{std::chrono::seconds(at)},
                             .sequence = 3,
                             .pid = 12,
                             .comm = "curl"};
    made.verdict = model::Verdict::kDenied;
    made.destination = "[fd00::1]:443/tcp";
    return made;
  };
  (void)f.pipeline().add(event(20), f.clock.steady());
  (void)f.pipeline().add(event(10), f.clock.steady());
  auto exit = event(30, model::ProgramEventKind::kExit);
  exit.exit_code = 3 << 8;
  exit.destination.clear();
  (void)f.pipeline().add(exit, f.clock.steady());
  const auto held = f.step();
  CHECK(held == f.clock.steady() + f.options.reorder_hold);
  f.advance_to(held);
  f.advance_to(f.step());
  (void)f.pipeline().add(event(15), f.clock.steady());
  for (auto next = f.step(); next; next = f.step()) f.advance_to(next);
  const auto records = f.received("logs");
  REQUIRE(records.size() == 4);
  CHECK(records[0]["time"] == 10'000'000'000);
  CHECK(records[1]["time"] == 20'000'000'000);
  CHECK(records[0]["eventName"] == "pintle.ebpf.connect");
  CHECK(records[0]["severity"] == 13);  // refused
  CHECK(records[0]["body"] == "connect by curl (12) [fd00::1]:443/tcp: denied");
  CHECK(records[0]["attributes"] == nlohmann::json({{"k8s.pod.uid", "u"},
                                                    {"k8s.pod.name", "name-of-u"},
                                                    {"k8s.namespace.name", "default"},
                                                    {"process.pid", 12},
                                                    {"process.executable.name", "curl"},
                                                    {"pintle.cgroup.id", 77},
                                                    {"pintle.event.type", "connect"},
                                                    {"pintle.event.sequence", 3},
                                                    {"pintle.event.verdict", "denied"},
                                                    {"network.transport", "tcp"},
                                                    {"network.peer.address", "fd00::1"},
                                                    {"network.peer.port", 443}}));
  CHECK(records[2]["attributes"]["process.exit.code"] == 3);
  CHECK(records[2]["severity"] == 9);
  CHECK_FALSE(records[2]["attributes"].contains("pintle.event.late"));
  CHECK(records[3]["time"] == 15'000'000'000);
  CHECK(records[3]["attributes"]["pintle.event.late"] == true);
  CHECK(f.pipeline().counts().late == 1);
}

TEST_CASE("the end sends all that is queued") {
  Fixture f(GENERATE(Protocol::kHttp, Protocol::kGrpc));
  f.options.of(OtlpSignal::kTraces).batch = 3;
  f.options.figures = [](MetricWriter& out) {
    out.family("g", MetricType::kGauge, "g");
    out.sample({}, uint64_t{1});
  };
  for (int i = 0; i < 7; ++i) (void)f.pipeline().add(Fixture::span());
  (void)f.pipeline().add(Fixture::record("last words"));
  (void)f.pipeline().add(model::ProgramEvent{.time = Time{1s}}, f.clock.steady());
  f.pipeline().flush({});
  CHECK(f.received("traces").size() == 7);
  CHECK(f.received("logs").size() == 2);
  CHECK(f.received("metrics").size() == 1);
}

TEST_CASE("the end asks a collector that is gone once, and drops the rest") {
  Fixture f(GENERATE(Protocol::kHttp, Protocol::kGrpc));
  f.options.of(OtlpSignal::kTraces).batch = 3;
  (void)f.pipeline();
  f.collector.reset();
  for (int i = 0; i < 7; ++i) (void)f.pipeline().add(Fixture::span());
  f.pipeline().flush({});
  CHECK(f.counts(OtlpSignal::kTraces) == OtlpSignalCounts{.dropped = 7, .failures = 1});
}
