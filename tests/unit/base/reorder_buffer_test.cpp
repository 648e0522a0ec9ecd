// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/reorder_buffer.h"

#include <algorithm>
#include <random>
#include <string>

#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using namespace std::chrono_literals;

namespace {

Time kernel(Duration at) { return Time{at}; }
SteadyTime here(Duration at) { return SteadyTime{at}; }

std::string values(const std::vector<ReorderBuffer<char>::Ready>& ready) {
  std::string text;
  for (const auto& [value, late] : ready) {
    text.push_back(value);
    if (late) text.push_back('!');
  }
  return text;
}

}  // namespace

TEST_CASE("values leave in the kernel's order once they were held long enough") {
  ReorderBuffer<char> buffer(20ms);
  CHECK_FALSE(buffer.next_due());
  buffer.push('b', kernel(2ms), here(100ms));
  buffer.push('c', kernel(3ms), here(101ms));
  buffer.push('a', kernel(1ms), here(102ms));
  CHECK(buffer.next_due() == here(120ms));
  CHECK(values(buffer.take(here(119ms))).empty());
  CHECK(values(buffer.take(here(120ms))) == "ab");  // what is older goes along
  CHECK(buffer.next_due() == here(121ms));
  CHECK(values(buffer.take(here(121ms))) == "c");
  CHECK_FALSE(buffer.next_due());
  CHECK(buffer.late() == 0);
}

TEST_CASE("equal times keep the order of arrival") {
  ReorderBuffer<char> buffer(20ms);
  for (const char c : {'x', 'y', 'z'}) buffer.push(c, kernel(5ms), here(0ms));
  CHECK(values(buffer.take(here(20ms))) == "xyz");
}

TEST_CASE("what comes after a younger one has left is late: handed on at once, first, and counted") {
  ReorderBuffer<char> buffer(20ms);
  buffer.push('b', kernel(10ms), here(0ms));
  CHECK(values(buffer.take(here(20ms))) == "b");
  buffer.push('a', kernel(9ms), here(21ms));
  buffer.push('c', kernel(10ms), here(21ms));  // as old as the last one is not late
  CHECK(buffer.next_due().value() <= here(21ms));
  CHECK(values(buffer.take(here(21ms))) == "a!c");
  CHECK(buffer.late() == 1);
}

TEST_CASE("a full buffer gives up its oldest before their time") {
  ReorderBuffer<char> buffer(1h, 2);
  for (const char c : {'a', 'b', 'c', 'd'}) buffer.push(c, kernel(1ms * c), here(0ms));
  CHECK(values(buffer.take(here(0ms))) == "ab");
}

TEST_CASE("any order of arrival within the hold comes out sorted and whole") {
  std::mt19937 random(7);
  for (int round = 0; round < 50; ++round) {
    ReorderBuffer<int> buffer(20ms);
    std::vector<std::pair<Duration, int>> arrivals;  // each up to 19 ms behind its kernel time
    for (int i = 0; i < 200; ++i) arrivals.emplace_back(1ms * i + 1us * (random() % 19'000), i);
    std::ranges::sort(arrivals);
    std::vector<int> out;
    const auto take = [&](SteadyTime now) {
      for (const auto& ready : buffer.take(now)) {
        CHECK_FALSE(ready.late);
        out.push_back(ready.value);
      }
    };
    for (const auto& [at, value] : arrivals) {
      buffer.push(value, kernel(1ms * value), here(at));
      take(here(at));
    }
    take(here(1h));
    CHECK(out.size() == 200);
    CHECK(std::ranges::is_sorted(out));
  }
}
