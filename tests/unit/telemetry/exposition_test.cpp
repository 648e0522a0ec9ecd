// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/exposition.h"

#include <catch2/catch_test_macros.hpp>

using namespace pintle::telemetry;

TEST_CASE("families, samples and summaries as the text format has them") {
  Exposition out;
  out.family("pintle_bytes_total", MetricType::kCounter, "All bytes.\nOf \"pods\" \\ nodes.");
  out.sample({{"pod", "a\"b\\c\nd"}, {"direction", "receive"}}, uint64_t{18'446'744'073'709'551'615U});
  out.family("pintle_pods", MetricType::kGauge, "Pods.");
  out.sample({}, 1.5);
  out.family("pintle_rtt_seconds", MetricType::kSummary, "Round trips.");
  out.summary({{"pod", "a"}}, 0.25, 3);
  out.family("pintle_none", MetricType::kGauge, "No samples.");
  CHECK(out.problems().empty());
  CHECK(out.series() == 4);
  CHECK(out.text() ==
        "# HELP pintle_bytes_total All bytes.\\nOf \"pods\" \\\\ nodes.\n"
        "# TYPE pintle_bytes_total counter\n"
        "pintle_bytes_total{pod=\"a\\\"b\\\\c\\nd\",direction=\"receive\"} 18446744073709551615\n"
        "# HELP pintle_pods Pods.\n"
        "# TYPE pintle_pods gauge\n"
        "pintle_pods 1.5\n"
        "# HELP pintle_rtt_seconds Round trips.\n"
        "# TYPE pintle_rtt_seconds summary\n"
        "pintle_rtt_seconds_sum{pod=\"a\"} 0.25\n"
        "pintle_rtt_seconds_count{pod=\"a\"} 3\n"
        "# HELP pintle_none No samples.\n"
        "# TYPE pintle_none gauge\n");
}

TEST_CASE("what the format or Prometheus' rules forbid is noticed") {
  const auto problems = [](auto act) {
    Exposition out;
    act(out);
    return out.problems().size();
  };
  CHECK(problems([](auto& out) { out.sample({}, 1.0); }) == 1);
  CHECK(problems([](auto& out) { out.family("9lives", MetricType::kGauge, ""); }) == 1);
  CHECK(problems([](auto& out) { out.family("a-b", MetricType::kGauge, ""); }) == 1);
  CHECK(problems([](auto& out) { out.family("x", MetricType::kCounter, ""); }) == 1);
  CHECK(problems([](auto& out) { out.family("x_total", MetricType::kGauge, ""); }) == 1);
  CHECK(problems([](auto& out) {
          out.family("x", MetricType::kGauge, "");
          out.family("x", MetricType::kGauge, "");
        }) == 1);
  CHECK(problems([](auto& out) {
          out.family("x", MetricType::kGauge, "");
          out.sample({{"a", "1"}}, 1.0);
          out.sample({{"a", "1"}}, 2.0);
        }) == 1);
  CHECK(problems([](auto& out) {
          out.family("x", MetricType::kGauge, "");
          out.sample({{"__a", "1"}}, 1.0);
        }) == 1);
  CHECK(problems([](auto& out) {
          out.family("x", MetricType::kGauge, "");
          out.summary({}, 1, 1);
        }) == 2);
}
