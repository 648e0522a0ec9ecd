// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/patch.h"

#include <catch2/catch_test_macros.hpp>

namespace pintle::standalone {
namespace {

struct Case {
  const char *what, *object, *patch, *result;
};

Json strategic(const char* object, const char* patch) {
  auto result = apply_patch(Json::parse(object), "application/strategic-merge-patch+json", Json::parse(patch));
  REQUIRE(result);
  return *result;
}
int code_of(const char* type, const char* patch) {
  const auto result = apply_patch(Json::parse(R"({"a":1})"), type, Json::parse(patch));
  return result ? 200 : result.error().code;
}

}  // namespace

TEST_CASE("strategic merge patches") {
  const Case cases[] = {
      {"named things are merged by name", R"({"containers":[{"name":"a","image":"1","env":[{"name":"X","value":"1"}]},{"name":"b"}]})",
       R"({"containers":[{"name":"a","image":"2","env":[{"name":"Y","value":"2"}]}]})",
       R"({"containers":[{"name":"a","image":"2","env":[{"name":"X","value":"1"},{"name":"Y","value":"2"}]},{"name":"b"}]})"},
      {"an element is deleted by directive", R"({"containers":[{"name":"a"},{"name":"b"}]})",
       R"({"containers":[{"$patch":"delete","name":"a"}]})", R"({"containers":[{"name":"b"}]})"},
      {"deleting what is not there does nothing", R"({"volumes":[{"name":"a"}]})", R"({"volumes":[{"$patch":"delete","name":"z"}]})",
       R"({"volumes":[{"name":"a"}]})"},
      {"a list is replaced by directive", R"({"conditions":[{"type":"A"},{"type":"B"}]})",
       R"({"conditions":[{"$patch":"replace"},{"type":"C"}]})", R"({"conditions":[{"type":"C"}]})"},
      {"a mapping is replaced by directive", R"({"labels":{"a":"1","b":"2"}})", R"({"labels":{"$patch":"replace","c":"3"}})",
       R"({"labels":{"c":"3"}})"},
      {"null removes", R"({"metadata":{"labels":{"a":"1","b":"2"}}})", R"({"metadata":{"labels":{"a":null}}})",
       R"({"metadata":{"labels":{"b":"2"}}})"},
      {"a plain list is replaced", R"({"tolerations":[{"key":"a"}],"args":["x"]})", R"({"tolerations":[{"key":"b"}],"args":["y"]})",
       R"({"tolerations":[{"key":"b"}],"args":["y"]})"},
      {"order is set, elements not named stay behind", R"({"containers":[{"name":"a"},{"name":"b"},{"name":"c"}]})",
       R"({"$setElementOrder/containers":[{"name":"c"},{"name":"a"}],"containers":[{"name":"a","image":"1"}]})",
       R"({"containers":[{"name":"c"},{"name":"a","image":"1"},{"name":"b"}]})"},
      {"only retained keys survive", R"({"volumes":[{"name":"v","emptyDir":{}}]})",
       R"({"volumes":[{"name":"v","$retainKeys":["name","hostPath"],"hostPath":{"path":"/x"}}]})",
       R"({"volumes":[{"name":"v","hostPath":{"path":"/x"}}]})"},
      {"primitives are added to and removed from sets", R"({"finalizers":["a","b"]})",
       R"({"finalizers":["c"],"$deleteFromPrimitiveList/finalizers":["a"]})", R"({"finalizers":["b","c"]})"},
      {"ports go by their number, mounts by their path",
       R"({"ports":[{"containerPort":80}],"volumeMounts":[{"mountPath":"/a","name":"x"}]})",
       R"({"ports":[{"containerPort":80,"name":"http"}],"volumeMounts":[{"mountPath":"/a","name":"y"}]})",
       R"({"ports":[{"containerPort":80,"name":"http"}],"volumeMounts":[{"mountPath":"/a","name":"y"}]})"},
      {"addresses of a pod go by ip", R"({"podIPs":[{"ip":"1"}]})", R"({"podIPs":[{"ip":"2"},{"$patch":"delete","ip":"1"}]})",
       R"({"podIPs":[{"ip":"2"}]})"},
  };
  for (const auto& c : cases) {
    INFO(c.what);
    CHECK(strategic(c.object, c.patch) == Json::parse(c.result));
  }
}

TEST_CASE("a strategic merge patch that can't be applied is refused") {
  CHECK(code_of("application/strategic-merge-patch+json", R"({"containers":[{"image":"x"}]})") == 400);
  CHECK(code_of("application/strategic-merge-patch+json", R"({"a":{"$patch":"sideways"}})") == 400);
  CHECK(code_of("application/strategic-merge-patch+json", R"([1])") == 400);
}

TEST_CASE("merge patches and JSON patches") {
  CHECK(*apply_patch(Json::parse(R"({"a":{"b":1,"c":2}})"), "application/merge-patch+json", Json::parse(R"({"a":{"b":null,"d":3}})")) ==
        Json::parse(R"({"a":{"c":2,"d":3}})"));
  CHECK(*apply_patch(Json::parse(R"({"a":[1,2]})"), "application/json-patch+json; charset=utf-8",
                     Json::parse(R"([{"op":"test","path":"/a/0","value":1},{"op":"add","path":"/a/-","value":3}])")) ==
        Json::parse(R"({"a":[1,2,3]})"));
  CHECK(code_of("application/json-patch+json", R"([{"op":"test","path":"/a","value":2}])") == 422);
  CHECK(code_of("application/json-patch+json", R"([{"op":"remove","path":"/nope"}])") == 422);
  CHECK(code_of("application/json-patch+json", R"({})") == 400);
}

TEST_CASE("other kinds of patch are refused by name") {
  CHECK(code_of("application/apply-patch+yaml", "{}") == 415);
  CHECK(code_of("text/plain", "{}") == 415);
}

}  // namespace pintle::standalone
