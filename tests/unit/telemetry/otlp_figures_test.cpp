// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The figures of docs/observability.md: telemetry_test "[.figures]" prints them. Hidden, for it measures time.
#include <chrono>
#include <random>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "fakes/agent/fake_agent_view.h"
#include "telemetry/gzip.h"
#include "telemetry/metrics_page.h"
#include "telemetry/otlp_json.h"
#include "telemetry/otlp_metrics.h"
#include "unit/server/agent_samples.h"
#include "unit/telemetry/otlp_samples.h"

using namespace pintle;
using namespace pintle::telemetry;

namespace {

// Of pods that have been at it for a while: figures of all sizes, and names and uids as clusters give them.
ports::PodRecord busy_pod(std::mt19937_64& random, int number) {
  const auto upto = [&](uint64_t bound) { return std::uniform_int_distribution<uint64_t>(0, bound)(random); };
  const auto traffic = [&] { return model::TrafficCounters{upto(1ULL << 34), upto(1 << 24), upto(1ULL << 34), upto(1 << 24)}; };
  auto record = test::running_pod(fmt::format("app-{:x}-{:x}", upto(0xffffffffff), upto(0xfffff)), fmt::format("team-{}", number % 7));
  record.counters =
      model::PodCounters{.tcp = traffic(), .udp = traffic(), .other = traffic(), .rx_drops = upto(100), .tx_drops = upto(100)};
  auto& counters = *record.counters;
  for (auto* const counter : {&counters.connects, &counters.sendmsgs, &counters.binds, &counters.accepts, &counters.tcp_rtt_samples,
                              &counters.tcp_rtt_sum_us, &counters.execs, &counters.exits, &counters.events_sent})
    *counter = upto(1 << 20);
  return record;
}

// The least of several tries: what is the machine's other business is not ours.
template <typename Work>
double milliseconds(const Work& work) {
  double least = 1e9;
  for (int i = 0; i < 15; ++i) {
    const auto begun = std::chrono::steady_clock::now();
    work();
    least = std::min(least, std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - begun).count());
  }
  return least;
}

}  // namespace

TEST_CASE("size and price of one request of metrics of 110 pods", "[.figures]") {
  fakes::FakeAgentView agent;
  std::mt19937_64 random(1);
  for (int number = 0; number < 110; ++number) agent.put(busy_pod(random, number));
  MetricsPage page(agent);
  const auto request = [&] {
    OtlpMetricWriter writer(test::kOrigin, test::kNow);
    page.write(writer);
    return std::pair(writer.points(), writer.finish());
  };
  const auto [points, protobuf] = request();
  const std::string packed = gzip(protobuf), json = to_otlp_json(OtlpSignal::kMetrics, protobuf);
  WARN(fmt::format("{} points: protobuf {} bytes, gzip {}; JSON {} bytes, gzip {}", points, protobuf.size(), packed.size(), json.size(),
                   gzip(json).size()));
  WARN(fmt::format("ms: protobuf {:.2f}, gzip of it {:.2f}, JSON of it {:.2f}, gzip of the JSON {:.2f}",
                   milliseconds([&] { (void)request(); }), milliseconds([&] { (void)gzip(protobuf); }),
                   milliseconds([&] { (void)to_otlp_json(OtlpSignal::kMetrics, protobuf); }), milliseconds([&] { (void)gzip(json); })));
  CHECK(packed.size() < protobuf.size());
}
