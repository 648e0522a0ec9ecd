// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/human.h"

#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using namespace std::chrono_literals;

TEST_CASE("ages read as kubectl's") {
  const std::pair<std::chrono::seconds, const char*> kCases[] = {
      {-5s, "0s"},      {0s, "0s"},      {119s, "119s"},      {120s, "2m"},         {200s, "3m20s"},      {600s, "10m"},
      {179min, "179m"}, {180min, "3h"},  {200min, "3h20m"},   {8h, "8h"},           {47h, "47h"},         {48h, "2d"},
      {51h, "2d3h"},    {24h * 8, "8d"}, {24h * 400, "400d"}, {24h * 770, "2y40d"}, {24h * 365 * 9, "9y"}};
  for (const auto& [span, text] : kCases) CHECK(ctl::age(span) == text);
  CHECK(ctl::age(0, Time{}) == "<unknown>");
}

TEST_CASE("spans and bytes are short") {
  CHECK(ctl::span(800us) == "0.8 ms");
  CHECK(ctl::span(120ms) == "120 ms");
  CHECK(ctl::span(1250ms) == "1.2 s");
  CHECK(ctl::span(125s) == "2m5s");
  CHECK(ctl::span(3700s) == "1h1m");
  CHECK(ctl::bytes(0) == "0 B");
  CHECK(ctl::bytes(1023) == "1023 B");
  CHECK(ctl::bytes(1536) == "1.5 KiB");
  CHECK(ctl::bytes(20 << 20) == "20 MiB");
  CHECK(ctl::bytes(UINT64_MAX) == "16 EiB");
}
