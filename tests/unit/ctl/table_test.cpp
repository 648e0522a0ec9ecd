// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/table.h"

#include <sstream>

#include <catch2/catch_test_macros.hpp>

using namespace pintle::ctl;

TEST_CASE("columns are as wide as their widest cell, three apart, the last unpadded") {
  Table table({"NAME", "STATUS"});
  table.add({"a-long-name", "Running"});
  table.add({"b", ""});
  std::ostringstream out;
  table.print(out, Style());
  CHECK(out.str() ==
        "NAME          STATUS\n"
        "a-long-name   Running\n"
        "b             <none>\n");
}

TEST_CASE("later rows have no second header and keep the widths") {
  Table table({"NAME", "X"});
  table.add({"abcdefgh", "1"});
  std::ostringstream out;
  table.print(out, Style());
  table.add({"i", "2"});
  table.print(out, Style());
  CHECK(out.str() == "NAME       X\nabcdefgh   1\ni          2\n");
}

TEST_CASE("hidden headers, colour and letters of several bytes leave the layout alone") {
  Table table({"NAME", "X"});
  table.add({{"größe", Tone::kGood}, "1"});
  table.add({"123456", "2"});
  std::ostringstream out;
  table.print(out, Style(true), Table::Headers::kHidden);
  CHECK(out.str() == "\033[32mgröße\033[0m    1\n123456   2\n");
}

TEST_CASE("a cell can't forge a line or move the cursor") {
  Table table({"MESSAGE"});
  table.add({"one\ntwo\033[2J"});
  std::ostringstream out;
  table.print(out, Style(), Table::Headers::kHidden);
  CHECK(out.str() == "one two [2J\n");
}
