// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/set_news.h"

#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using namespace pintle::app;
using Attempt = model::ProgramSetStatus::Attempt;

TEST_CASE("what is told of a program set") {
  const auto good = news_of({.name = "next", .version = "2"});
  CHECK(good.good());
  CHECK(good.reason == "ProgramSetInForce");
  CHECK(good.text == "program set 'next' (version 2) is in force");
  CHECK(good.in_force == good.text);

  const auto refused =
      news_of({.name = "builtin", .version = "1", .attempt = Attempt::kRefused, .wanted = "next", .error = "it counted 0"});
  CHECK_FALSE(refused.good());
  CHECK(refused.reason == "ProgramSetRefused");
  CHECK(refused.in_force == "program set 'builtin' (version 1) is in force");
  CHECK(refused.text == "program set 'next' was refused: it counted 0; program set 'builtin' (version 1) is in force");
  CHECK(refused.problems == std::map<std::string, std::string>{{"next", "was refused: it counted 0"}});
  CHECK(news_of({.name = "builtin", .attempt = Attempt::kRolledBack, .wanted = "next"}).reason == "ProgramSetRolledBack");
}

TEST_CASE("what a switch left behind is a problem of the set in force") {
  const auto left = news_of({.name = "builtin", .version = "1", .leftovers = {{21, "unpin 'x': Is a directory"}, {16, "rename 'y'"}}});
  CHECK(left.reason == "ProgramSetLeftovers");
  CHECK(left.text == "program set 'builtin' (version 1) is in force; unpin 'x': Is a directory; rename 'y'");
  CHECK(left.problems == std::map<std::string, std::string>{{"builtin", "unpin 'x': Is a directory; rename 'y'"}});
  // Another file of the same name: both are its own.
  const auto both =
      news_of({.name = "next", .attempt = Attempt::kRefused, .wanted = "next", .error = "no", .leftovers = {{21, "unpin 'x'"}}});
  CHECK(both.problems == std::map<std::string, std::string>{{"next", "was refused: no; unpin 'x'"}});
}
