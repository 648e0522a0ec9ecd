// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "base/time.h"

using namespace std::chrono_literals;
using namespace pintle;

TEST_CASE("RFC 3339 survives the round trip") {
  for (const char* text : {"2026-11-22T23:49:27Z", "1970-01-01T00:00:00Z", "2024-02-29T12:00:00Z"}) {
    const auto time = parse_rfc3339(text);
    REQUIRE(time);
    CHECK(format_rfc3339(*time) == text);
  }
  CHECK(format_rfc3339_nano(*parse_rfc3339("2026-11-22T23:49:27.1234567891Z")) == "2026-11-22T23:49:27.123456789Z");
  CHECK(format_rfc3339_micro(*parse_rfc3339("2026-11-22T23:49:27.5Z")) == "2026-11-22T23:49:27.500000Z");
  CHECK(*parse_rfc3339("2026-11-22T23:49:27+02:00") == *parse_rfc3339("2026-11-22T21:49:27Z"));
  CHECK(*parse_rfc3339("0001-01-01T00:00:00Z") == kNoTime);
}

TEST_CASE("what is no time is refused") {
  for (const char* text :
       {"", "2026", "2026-13-01T00:00:00Z", "2026-02-30T00:00:00Z", "2026-01-01T25:00:00Z", "2026-01-01T00:00:00", "2026-01-01T00:00:00Zx"})
    CHECK_FALSE(parse_rfc3339(text));
}

TEST_CASE("durations read and write as Go does") {
  CHECK(*parse_duration("1m30s") == 90s);
  CHECK(*parse_duration("1.5h") == 90min);
  CHECK(*parse_duration("300ms") == 300ms);
  CHECK(*parse_duration("0") == 0s);
  CHECK(*parse_duration("-2s") == -2s);
  for (const char* text : {"", "10", "s", "1x", "1m-3s"}) CHECK_FALSE(parse_duration(text));
  CHECK(format_duration(90s) == "1m30s");
  CHECK(format_duration(3600s) == "1h0m0s");
  CHECK(format_duration(1500ms) == "1.5s");
  CHECK(format_duration(0s) == "0s");
}
