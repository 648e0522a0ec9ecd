// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "codec/document.h"
#include "codec/objects.h"
#include "codec/text.h"

namespace pintle::codec {
namespace {

// The error of decoding a pod with one container of these fields, strictly.
std::string error_of_spec(const std::string& spec) {
  const auto pod = decode_pod(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"p"},"spec":)" + spec + "}",
                              {.origin = "p.json", .unknown_fields = UnknownFields::kRefuse});
  return pod ? "" : pod.error().context;
}
std::string error_of_container(const std::string& fields) {
  return error_of_spec(R"({"containers":[{"name":"c","image":"i",)" + fields + "}]}");
}

struct Row {
  std::string fields, error;
};

}  // namespace

TEST_CASE("wrong types name the field, what was expected and the fix") {
  const Row rows[] = {
      {R"("image2":1)", "p.json:1: spec.containers[0].image2: unknown field (did you mean 'image'?)"},
      {R"("workingDir":8080)", R"(p.json:1: spec.containers[0].workingDir: expected a string, found the number 8080 (quote it: "8080"))"},
      {R"("workingDir":true)", R"(p.json:1: spec.containers[0].workingDir: expected a string, found the boolean true (quote it: "true"))"},
      {R"("workingDir":[])", "p.json:1: spec.containers[0].workingDir: expected a string, found a list"},
      {R"("tty":"true")", R"(p.json:1: spec.containers[0].tty: expected true or false, found the string "true" (remove the quotes))"},
      {R"("tty":1)", "p.json:1: spec.containers[0].tty: expected true or false, found the number 1"},
      {R"("args":"x")", R"(p.json:1: spec.containers[0].args: expected a list, found the string "x")"},
      {R"("args":["x",null])", "p.json:1: spec.containers[0].args[1]: expected a value, found nothing"},
      {R"("args":[{}])", "p.json:1: spec.containers[0].args[0]: expected a string, found a map"},
      {R"("resources":[])", "p.json:1: spec.containers[0].resources: expected a map, found a list"},
      {R"("resources":{"limits":{"cpu":"lots"}})",
       "p.json:1: spec.containers[0].resources.limits.cpu: 'lots' is not a quantity (examples: 500m, 2, 64Mi, 1.5Gi, 1e3)"},
      {R"("resources":{"limits":{"example.com/gpu":true}})",
       "p.json:1: spec.containers[0].resources.limits[example.com/gpu]: expected a quantity (500m, 2, 64Mi), found the boolean true"},
      {R"("imagePullPolicy":"always")",
       "p.json:1: spec.containers[0].imagePullPolicy: 'always' is not one of Always, IfNotPresent, Never (did you mean 'Always'?)"},
      {R"("ports":[{"containerPort":"80"}])",
       R"(p.json:1: spec.containers[0].ports[0].containerPort: expected a whole number, found the string "80" (remove the quotes))"},
      {R"("ports":[{"containerPort":80.5}])",
       "p.json:1: spec.containers[0].ports[0].containerPort: expected a whole number, found the number 80.5"},
      {R"("ports":[{"containerPort":99999999999}])",
       "p.json:1: spec.containers[0].ports[0].containerPort: 99999999999 is out of range (-2147483648 to 2147483647)"},
      {R"("ports":[{}])", "p.json:1: spec.containers[0].ports[0].containerPort: is required"},
      {R"("livenessProbe":{"tcpSocket":{"port":true}})",
       "p.json:1: spec.containers[0].livenessProbe.tcpSocket.port: expected a port number or name, found the boolean true"},
      {R"("livenessProbe":{})", "p.json:1: spec.containers[0].livenessProbe: needs one of exec, httpGet, tcpSocket, grpc"},
      {R"("livenessProbe":{"exec":{},"grpc":{"port":1}})",
       "p.json:1: spec.containers[0].livenessProbe.grpc: 'exec' is set as well; only one kind of probe is allowed"},
      {R"("env":[{"name":"A","valueFrom":{"fieldRef":{}}}])",
       "p.json:1: spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: is required"},
      {R"("volumeMounts":[{"name":"v","mountPath":"/x","mountPropagation":"Both"}])",
       "p.json:1: spec.containers[0].volumeMounts[0].mountPropagation: 'Both' is not one of None, HostToContainer, Bidirectional"},
  };
  for (const auto& row : rows) {
    INFO(row.fields);
    CHECK(error_of_container(row.fields) == row.error);
  }
}

TEST_CASE("fields of the API that the model does not keep pass a strict decode") {
  CHECK(error_of_spec(
            R"({"containers":[],"affinity":{"x":[1,{"y":null}]},"topologySpreadConstraints":[{}],"schedulerName":"s","schedulingGates":[],
                          "preemptionPolicy":"Never","os":{"name":"linux"},"resourceClaims":[]})")
            .empty());
}

TEST_CASE("an API newer than this one is understood as far as possible") {
  const auto pod = decode_pod(R"({"kind":"Pod","spec":{"containers":[],"newField":1,"volumes":[{"name":"v","newKind":{"a":1}}]}})");
  REQUIRE(pod.has_value());
  // Held by name rather than run with an empty folder in its place.
  CHECK(std::get<model::UnsupportedVolume>(pod->spec.volumes.at(0).source).kind == "newKind");
}

TEST_CASE("volume kinds that are not supported keep their name") {
  const auto pod = decode_pod(R"({"spec":{"volumes":[{"name":"v","persistentVolumeClaim":{"claimName":"c"}},{"name":"w"}]}})",
                              {.origin = "p", .unknown_fields = UnknownFields::kRefuse});
  REQUIRE(pod.has_value());
  CHECK(std::get<model::UnsupportedVolume>(pod->spec.volumes.at(0).source).kind == "persistentVolumeClaim");
  CHECK(std::holds_alternative<model::EmptyDirVolume>(pod->spec.volumes.at(1).source));
  CHECK(error_of_spec(R"({"volumes":[{"name":"v","emptyDir":{},"nfs":{}}]})") ==
        "p.json:1: spec.volumes[0].nfs: 'emptyDir' is set as well; a volume has one kind");
}

TEST_CASE("another kind of object is no pod") {
  const auto pod = decode_pod(R"({"apiVersion":"v1","kind":"Node"})");
  REQUIRE_FALSE(pod.has_value());
  CHECK(pod.error().code == Code::kInvalid);
  CHECK(pod.error().context == "kind: expected 'Pod', found 'Node'");
}

TEST_CASE("several mistakes are counted") { CHECK(error_of_container(R"("tty":1,"stdin":2,"args":3)").ends_with(" (and 2 more)")); }

TEST_CASE("broken JSON names line and column") {
  const std::string whole = "{\n \"kind\": \"Pod\",\n \"spec\": {\"containers\": [1, 2]}\n}\n";
  for (size_t length = 0; length + 2 < whole.size(); ++length) {
    const auto pod = decode_pod(whole.substr(0, length), {.origin = "p.json"});
    REQUIRE_FALSE(pod.has_value());
    CHECK(pod.error().code == Code::kInvalid);
    CHECK(pod.error().context.starts_with("p.json:"));
  }
  CHECK(decode_pod("{\n  \"a\": 1,\n  \"b\": }", {.origin = "p.json"}).error().context.starts_with("p.json:3: column 8: invalid JSON: "));
  CHECK(decode_pod("{\n  \"spec\": {\n   \"priority\": 12\n,\n  \"hostname\": 7 } }", {.origin = "p.json"}).error().context ==
        R"(p.json:5: spec.hostname: expected a string, found the number 7 (quote it: "7"))");
  CHECK(decode_pod(R"({"a":"x","a":"y"})", {.origin = "p.json"}).error().context == "p.json:1: the key 'a' is given twice");
  CHECK(decode_pod("{} x", {.origin = "p.json"}).error().context.find("invalid JSON") != std::string::npos);
}

TEST_CASE("hostile JSON is refused, not followed") {
  CHECK(decode_pod(std::string(1'000'000, '[')).error().context == "nested deeper than 64 levels");
  std::string deep;
  for (int i = 0; i < 100; ++i) deep += R"({"a":)";
  CHECK(decode_pod(deep).error().context == "nested deeper than 64 levels");
  for (const char* bad : {"\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", R"("\ud800")"}) {
    const auto pod = decode_pod(std::string(R"({"kind":)") + bad + "}");
    REQUIRE_FALSE(pod.has_value());
    CHECK_FALSE(find_bad_utf8(pod.error().context).has_value());
  }
  std::string many = "[";
  for (size_t i = 0; i < kMaxJsonNodes; ++i) many += "0,";
  CHECK(decode_pod(many + "0]").error().context == "more than 2000000 values");
}

TEST_CASE("a list names the items that are no pods and keeps the others") {
  const auto list =
      decode_pod_list(R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"7","continue":"c","remainingItemCount":3},
    "items":[{"metadata":{"name":"a"}},{"metadata":{"name":"b"},"spec":{"hostNetwork":"yes"}},{"metadata":{"name":"c"}}]})");
  REQUIRE(list.has_value());
  CHECK(list->resource_version == "7");
  CHECK(list->continue_token == "c");
  REQUIRE(list->items.size() == 2);
  CHECK(list->items[1].metadata.name == "c");
  REQUIRE(list->refused.size() == 1);
  CHECK(list->refused[0].context == R"(items[1] ('default/b'): spec.hostNetwork: expected true or false, found the string "yes")");
  CHECK_FALSE(decode_pod_list(R"({"items":{}})").has_value());
  CHECK_FALSE(decode_pod_list("[]").has_value());
}

TEST_CASE("watch events are cut, not decoded") {
  const auto added = decode_watch_event(
      R"( {"type":"ADDED","object":{"metadata":{"resourceVersion":"12","x":{"resourceVersion":"13"}},"spec":[{"a":"}"}]} } )");
  REQUIRE(added.has_value());
  CHECK(added->kind == WatchEvent::Kind::kAdded);
  CHECK(added->resource_version == "12");
  CHECK(added->object_json == R"({"metadata":{"resourceVersion":"12","x":{"resourceVersion":"13"}},"spec":[{"a":"}"}]})");

  const auto reversed = decode_watch_event(R"({"object":{"metadata":{"resourceVersion":"5"}},"type":"DELETED"})");
  REQUIRE(reversed.has_value());
  CHECK(reversed->kind == WatchEvent::Kind::kDeleted);
  CHECK(reversed->object_json == R"({"metadata":{"resourceVersion":"5"}})");

  const auto bookmark = decode_watch_event(R"({"type":"BOOKMARK","object":{"kind":"Pod","metadata":{"resourceVersion":"99"}}})");
  REQUIRE(bookmark.has_value());
  CHECK(bookmark->kind == WatchEvent::Kind::kBookmark);
  CHECK(bookmark->resource_version == "99");

  const auto gone = decode_watch_event(
      R"({"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old resource version"}})");
  REQUIRE(gone.has_value());
  CHECK(gone->kind == WatchEvent::Kind::kError);
  CHECK(gone->status_code == 410);
  CHECK(gone->status_message == "too old resource version");
}

TEST_CASE("lines that are no watch events are refused") {
  for (const char* line :
       {"", "{", "[]", "null", "7", R"({"type":"ADDED"})", R"({"type":"ADDED","object":7})", R"({"type":"ADDED","object":{}})",
        R"({"type":"OTHER","object":{"metadata":{"resourceVersion":"1"}}})", R"({"object":{"metadata":{"resourceVersion":"1"}}})",
        R"({"type":"ADDED","object":{"metadata":{"resourceVersion":"1"}})", "{\"type\":\"\xff\"}"}) {
    INFO(line);
    const auto event = decode_watch_event(line);
    REQUIRE_FALSE(event.has_value());
    CHECK(event.error().code == Code::kInvalid);
  }
  CHECK_FALSE(decode_watch_event(R"({"type":"ADDED","object":)" + std::string(100'000, '[')).has_value());
}

TEST_CASE("config objects are decoded to bytes") {
  const auto config =
      decode_config_map(R"({"kind":"ConfigMap","metadata":{"name":"c","namespace":"n"},"data":{"a":"1"},"binaryData":{"b":"AAH/"}})");
  REQUIRE(config.has_value());
  CHECK(config->data.at("a") == "1");
  CHECK(config->binary_data.at("b") == std::string("\x00\x01\xff", 3));
  const auto secret = decode_secret(
      R"({"kind":"Secret","metadata":{"name":"s"},"type":"Opaque","data":{"p":"aGk=","q":"b2xk"},"stringData":{"q":"new"},"immutable":true})");
  REQUIRE(secret.has_value());
  CHECK(secret->data.at("p") == "hi");
  CHECK(secret->data.at("q") == "new");
  CHECK(secret->immutable);
  const auto bad = decode_secret(R"({"data":{"p":"hunter2 in plain"}})");
  REQUIRE_FALSE(bad.has_value());
  CHECK(bad.error().context == "data.p: is not base64");
}

TEST_CASE("base64 both ways") {
  for (const std::string text : {"", "a", "ab", "abc", "abcd", "\xff\xfe"}) CHECK(decode_base64(encode_base64(text)) == text);
  for (const char* bad : {"a", "ab", "abc", "a=bc", "ab=c", "====", "a!cd", "abcd="}) CHECK_FALSE(decode_base64(bad).has_value());
}

TEST_CASE("the API's Status and tokens") {
  const auto status = decode_status(R"({"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure","message":"pods \"w\" not found",
                                        "reason":"NotFound","details":{"name":"w","retryAfterSeconds":3},"code":404})");
  REQUIRE(status.has_value());
  CHECK(status->code == 404);
  CHECK(status->reason == "NotFound");
  CHECK(status->retry_after_seconds == 3);
  const auto token = decode_token_reply(R"({"kind":"TokenRequest","status":{"token":"t","expirationTimestamp":"2026-11-23T00:00:00Z"}})");
  REQUIRE(token.has_value());
  CHECK(token->token == "t");
  CHECK_FALSE(decode_token_reply(R"({"kind":"TokenRequest","status":{}})").has_value());
  CHECK(encode_token_request("p", "u", "", 3600).find(R"("audiences":[])") != std::string::npos);
  CHECK(encode_token_request("p", "u", "", 3600).find(R"("boundObjectRef":{"apiVersion":"v1","kind":"Pod","name":"p","uid":"u"})") !=
        std::string::npos);
  CHECK(encode_token_request("", "", "vault", 3600).find("boundObjectRef") == std::string::npos);
}

TEST_CASE("text for people: yaml and pretty json") {
  const std::string json =
      R"({"kind":"Pod","list":[{"a":"1","b":[true,null,2.5]},[],["x"]],"text":"one\n  two\n","odd":"- a: b","empty":{},"yes":"no","n":"\u0007"})";
  const auto yaml = json_to_yaml(json);
  REQUIRE(yaml.has_value());
  CHECK(*yaml ==
        "kind: Pod\nlist:\n- a: \"1\"\n  b:\n  - true\n  - null\n  - 2.5\n- []\n-\n  - x\n"
        "text: |\n  one\n    two\nodd: \"- a: b\"\nempty: {}\n\"yes\": \"no\"\n\"n\": \"\\u0007\"\n");
  const auto documents = parse_documents(*yaml, "x.yaml");
  REQUIRE(documents.roots.size() == 1);
  CHECK(to_json(documents.roots[0]) == json);
  CHECK(pretty_json(R"({"a":[1,{}],"b":{}})").value() == "{\n    \"a\": [\n        1,\n        {}\n    ],\n    \"b\": {}\n}\n");
  CHECK_FALSE(pretty_json("{").has_value());
}

}  // namespace pintle::codec
