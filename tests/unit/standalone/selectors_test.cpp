// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/selectors.h"

#include <catch2/catch_test_macros.hpp>

namespace pintle::standalone {
namespace {

const Json kPod = Json::parse(R"({"metadata":{"name":"web","namespace":"default","labels":{"app":"web","tier":"front","empty":""}},
  "spec":{"nodeName":"n1","hostNetwork":true},"status":{"phase":"Running"}})");

bool selects(const std::string& labels, const std::string& fields = "") {
  const auto selector = Selector::parse(resources::kPods, labels, fields);
  REQUIRE(selector);
  return selector->matches(*selectable_of(resources::kPods, kPod));
}
int code_of(const std::string& labels, const std::string& fields = "") {
  const auto selector = Selector::parse(resources::kPods, labels, fields);
  return selector ? 200 : selector.error().code;
}

}  // namespace

TEST_CASE("label selectors") {
  for (const char* yes :
       {"", "app=web", "app==web", "app = web", "app!=db", "nothing!=x", "app in (db,web)", "app in ( db , web )", "tier notin (back)",
        "nothing notin (x)", "app", "!nothing", "app,tier=front,!x", "empty=", "empty", "app in (web),tier"}) {
    INFO(yes);
    CHECK(selects(yes));
  }
  for (const char* no :
       {"app=db", "app!=web", "nothing", "!app", "app in (db)", "tier notin (front)", "app=web,tier=back", "nothing=x", "app="}) {
    INFO(no);
    CHECK_FALSE(selects(no));
  }
  for (const char* wrong : {"=x", "app in web", "app in (web", "app,", "app web", "!", ",app", "app>(3)"}) {
    INFO(wrong);
    CHECK(code_of(wrong) == 400);
  }
}

TEST_CASE("values of any length are found, behind others of any length") {
  Json pod = kPod;
  for (const size_t size : {0, 1, 127, 128, 129, 16383, 16384, 70000}) {
    const std::string text(size, 'x');
    pod["metadata"]["labels"] = {{"a", text}, {"b", "last"}};
    pod["spec"]["nodeName"] = text;
    pod["status"]["phase"] = "Running";
    const auto selectable = selectable_of(resources::kPods, pod);
    CHECK(selectable->label("a") == text);
    CHECK(selectable->label("b") == "last");
    CHECK(selectable->label("c") == std::nullopt);
    CHECK(selectable->field("spec.nodeName").value_or("") == text);
    CHECK(selectable->field("status.phase") == "Running");
    CHECK(selectable->field("status.podIP") == std::nullopt);
  }
}

TEST_CASE("field selectors") {
  for (const char* yes : {"metadata.name=web", "metadata.name==web,metadata.namespace=default", "spec.nodeName=n1", "status.phase!=Failed",
                          "spec.nodeName!=", "spec.hostNetwork=true"}) {
    INFO(yes);
    CHECK(selects("", yes));
  }
  for (const char* no : {"metadata.name=x", "status.phase=Failed", "spec.nodeName="}) {
    INFO(no);
    CHECK_FALSE(selects("", no));
  }
  for (const char* wrong : {"spec.containers=x", "metadata.name", "=x"}) {
    INFO(wrong);
    CHECK(code_of("", wrong) == 400);
  }
}

TEST_CASE("an event is selected by the object it is about") {
  const Json event =
      Json::parse(R"({"involvedObject":{"name":"web","uid":"u"},"reason":"Killing","type":"Normal","source":{"component":"pintle"}})");
  const auto selector =
      Selector::parse(resources::kEvents, "", "involvedObject.name=web,involvedObject.uid=u,type=Normal,reason=Killing,source=pintle");
  REQUIRE(selector);
  CHECK(selector->matches(*selectable_of(resources::kEvents, event)));
}

}  // namespace pintle::standalone
