// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "base/quantity.h"

using pintle::Quantity;

TEST_CASE("a quantity reads what kubectl accepts") {
  struct Row {
    const char* text;
    int64_t milli;
  };
  for (const Row& row : {Row{"0", 0},
                         {"100m", 100},
                         {"2", 2000},
                         {"1.5", 1500},
                         {"64Mi", 64LL * 1024 * 1024 * 1000},
                         {"1e3", 1'000'000},
                         {"1E3", 1'000'000},
                         {"1k", 1'000'000},
                         {"0.1m", 1},
                         {"1n", 1},
                         {"-5", -5000},
                         {"+5", 5000},
                         {".5", 500},
                         {"5.", 5000},
                         {"2E", 9223372036854775807LL},
                         {"10E", 9223372036854775807LL},
                         {"9999999999999999999", 9223372036854775807LL}}) {
    INFO(row.text);
    const auto parsed = Quantity::parse(row.text);
    REQUIRE(parsed);
    CHECK(parsed->milli() == row.milli);
    CHECK(parsed->text() == row.text);
  }
}

TEST_CASE("a quantity that is none says what one looks like") {
  for (const char* text : {"", "m", "1.2.3", "1 Gi", "1GiB", "abc", "1e", "1e+", "1e99", "0x10", "١"}) {
    INFO(text);
    const auto parsed = Quantity::parse(text);
    REQUIRE_FALSE(parsed);
    CHECK(parsed.error().message().find("64Mi") != std::string::npos);
  }
}

TEST_CASE("values round up") {
  CHECK(Quantity::from_milli(1001).value() == 2);
  CHECK(Quantity::from_milli(1000).value() == 1);
  CHECK(Quantity::from_milli(0).value() == 0);
}
