// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/selector.h"

#include <map>

#include <catch2/catch_test_macros.hpp>

using namespace pintle;

TEST_CASE("label selectors select as kubectl's do") {
  const std::map<std::string, std::string> labels{{"app", "web"}, {"tier", "front"}};
  const auto find = [&](const std::string& key) {
    const auto it = labels.find(key);
    return it == labels.end() ? std::nullopt : std::optional(it->second);
  };
  const std::pair<const char*, bool> kCases[] = {{"", true},
                                                 {"app=web", true},
                                                 {"app==web", true},
                                                 {"app=db", false},
                                                 {"app!=db", true},
                                                 {"app!=web", false},
                                                 {"none!=x", true},
                                                 {"app=web,tier=front", true},
                                                 {"app=web,tier=back", false},
                                                 {"app in (db, web)", true},
                                                 {"app in (db)", false},
                                                 {"app notin (db,x)", true},
                                                 {"app notin (web)", false},
                                                 {"app", true},
                                                 {"other", false},
                                                 {"!other", true},
                                                 {"!app", false},
                                                 {"app in (web), !other", true}};
  for (const auto& [text, expected] : kCases) {
    INFO(text);
    const auto selector = ctl::Selector::parse(text);
    REQUIRE(selector);
    CHECK(selector->matches(find) == expected);
  }
  for (const char* text : {"=x", "a b", "a in b", "a in (b", ",", "a=b,,c", "a=(b)", "!"}) {
    INFO(text);
    CHECK(!ctl::Selector::parse(text));
  }
}
