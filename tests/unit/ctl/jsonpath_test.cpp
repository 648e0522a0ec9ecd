// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/jsonpath.h"

#include <catch2/catch_test_macros.hpp>

using namespace pintle;

namespace {

constexpr std::string_view kDocument = R"({"items":[
  {"metadata":{"name":"a","labels":{"a.b/c":"x"}},"n":1,"conditions":[{"type":"Ready","status":"True"},{"type":"Other","status":"False"}]},
  {"metadata":{"name":"b"},"n":20}]})";

std::string evaluated(std::string_view text) {
  const auto document = codec::parse_json(kDocument, "test");
  REQUIRE(document);
  const auto path = ctl::JsonPath::parse(text);
  REQUIRE(path);
  return path->evaluate(*document);
}

}  // namespace

TEST_CASE("templates give what kubectl gives") {
  const std::pair<const char*, const char*> kCases[] = {
      {"{.items[*].metadata.name}", "a b"},
      {"{.items[0].metadata.name}", "a"},
      {"{.items[-1].metadata.name}", "b"},
      {"{.items[0:1].metadata.name}", "a"},
      {"{.items[1:].n}", "20"},
      {"{$.items[0]['metadata'].name}", "a"},
      {"{..name}", "a b"},
      {"{.items[*].metadata.labels.a\\.b/c}", "x"},
      {"{.items[0].metadata.labels['a.b/c']}", "x"},
      {R"({range .items[*]}{.metadata.name}={.n}{"\n"}{end})", "a=1\nb=20\n"},
      {R"({.items[0].conditions[?(@.type=="Ready")].status})", "True"},
      {"{.items[?(@.n > 5)].metadata.name}", "b"},
      {"{.items[?(@.conditions)].metadata.name}", "a"},
      {"{.items[1].metadata}", R"({"name":"b"})"},
      {"{.nothing.at.all}", ""},
      {"{.items[7].n}", ""},
      {"name: {.items[0].metadata.name}!", "name: a!"},
      {".items[0].n", "1"},
      {"items[0].n", "1"},
  };
  for (const auto& [text, expected] : kCases) {
    INFO(text);
    CHECK(evaluated(text) == expected);
  }
}

TEST_CASE("a broken template says where and what") {
  for (const char* text :
       {"{.a", "{range .a}x", "{end}", "{.a[}", "{.a['b}", "{.a[?(x)]}", "{.a[?(@.b ~ 1)]}", "{.a[1,2]}", "{\"x}", "{..}", "{}"}) {
    INFO(text);
    const auto path = ctl::JsonPath::parse(text);
    REQUIRE(!path);
    CHECK(path.error().code == Code::kInvalid);
    CHECK(path.error().message().find("character") != std::string::npos);
  }
}
