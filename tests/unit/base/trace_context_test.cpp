// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/trace_context.h"

#include <thread>

#include <catch2/catch_test_macros.hpp>

using namespace pintle;

TEST_CASE("traceparent: what the recommendation allows, and what it does not") {
  struct Row {
    const char* what;
    std::string text;
    bool valid;
  };
  const std::string good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  const auto changed = [&](size_t at, char to) {
    auto text = good;
    text[at] = to;
    return text;
  };
  const Row rows[] = {
      {"the recommendation's own example", good, true},
      {"not sampled", changed(54, '0'), true},
      {"flags that nobody knows yet", changed(53, 'f'), true},
      {"empty", "", false},
      {"too short", good.substr(0, 54), false},
      {"version 00 with more behind", good + "-what-the-future-holds", false},
      {"a later version with more behind", "cc" + good.substr(2) + "-what-the-future-holds", true},
      {"a later version as long as ours", "01" + good.substr(2), true},
      {"a later version with more that is not set off", "cc" + good.substr(2) + ".what", false},
      {"version ff", "ff" + good.substr(2), false},
      {"a version that is no number", "0x" + good.substr(2), false},
      {"capital letters", changed(3, 'B'), false},
      {"a letter that is no digit", changed(10, 'g'), false},
      {"all zeros for a trace", "00-00000000000000000000000000000000-00f067aa0ba902b7-01", false},
      {"all zeros for a span", "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01", false},
      {"flags that are no number", changed(53, 'x'), false},
      {"another separator", changed(35, '_'), false},
      {"a blank in front", " " + good, false},
      {"a line end behind", good + "\n", false},
  };
  for (const auto& row : rows) {
    INFO(row.what << ": '" << row.text << "'");
    CHECK(parse_traceparent(row.text).has_value() == row.valid);
  }
  const auto context = parse_traceparent(good);
  CHECK(to_hex(context->trace) == "4bf92f3577b34da6a3ce929d0e0e4736");
  CHECK(to_hex(context->span) == "00f067aa0ba902b7");
  CHECK(context->sampled);
  CHECK(format_traceparent(*context) == good);
  CHECK_FALSE(parse_traceparent(changed(54, '2'))->sampled);
}

TEST_CASE("a child is in its parent's trace, under its decision, and another span") {
  for (const bool sampled : {false, true}) {
    const auto root = new_trace(sampled);
    const auto child = child_of(root);
    CHECK(child.trace == root.trace);
    CHECK(child.span != root.span);
    CHECK(child.sampled == sampled);
    CHECK(new_trace(sampled).trace != root.trace);
    CHECK(parse_traceparent(format_traceparent(child)) == child);
  }
}

TEST_CASE("a share of traces is taken by their ids") {
  int taken = 0;
  for (int i = 0; i < 4096; ++i) taken += within_ratio(new_trace(true).trace, 0.25) ? 1 : 0;
  CHECK(taken > 4096 / 4 - 300);  // more than ten standard deviations
  CHECK(taken < 4096 / 4 + 300);
  TraceId least{}, most{};
  least[0] = 1;
  most.fill(0xFF);
  CHECK(within_ratio(least, 0.0001));
  CHECK_FALSE(within_ratio(least, 0));
  CHECK(within_ratio(most, 1));
  CHECK_FALSE(within_ratio(most, 0.9999));
}

TEST_CASE("a scope holds for its thread, and the outer one comes back") {
  CHECK(current_trace() == nullptr);
  const auto outer = new_trace(true), inner = new_trace(true);
  {
    const TraceScope first(outer);
    {
      const TraceScope second(inner);
      CHECK(*current_trace() == inner);
      const TraceScope nothing(std::nullopt);
      CHECK(*current_trace() == inner);
      std::thread([] { CHECK(current_trace() == nullptr); }).join();
    }
    CHECK(*current_trace() == outer);
  }
  CHECK(current_trace() == nullptr);
}
