// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <chrono>
#include <filesystem>
#include <fstream>
#include <sstream>

#include <catch2/catch_test_macros.hpp>

#include "base/time.h"
#include "codec/document.h"
#include "codec/manifest.h"
#include "codec/objects.h"

namespace pintle::codec {
namespace {

constexpr std::string_view kPod = "apiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec: {containers: [{name: c, image: i}]}\n";

std::vector<std::string> texts(const std::vector<Error>& errors) {
  std::vector<std::string> out;
  for (const auto& error : errors) {
    CHECK(error.code == Code::kInvalid);
    out.push_back(error.context);
  }
  return out;
}
std::vector<std::string> errors_of(std::string_view text, const std::string& origin = "web.yaml") {
  return texts(parse_pod_manifest(text, origin).errors);
}
using Lines = std::vector<std::string>;

// One YAML document as JSON, or its error.
std::string yaml(std::string_view text) {
  const auto documents = parse_documents(text, "x.yaml");
  if (!documents.errors.empty()) return documents.errors[0].context;
  return documents.roots.empty() ? "nothing" : to_json(documents.roots[0]);
}

}  // namespace

TEST_CASE("every example is strictly right") {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(EXAMPLES_DIR)) {
    if (entry.path().extension() != ".yaml") continue;
    ++count;
    std::ifstream file(entry.path());
    std::ostringstream text;
    text << file.rdbuf();
    const auto manifest = parse_pod_manifest(text.str(), entry.path().filename());
    CHECK(texts(manifest.errors) == Lines{});
    CHECK_FALSE(manifest.pods.empty());
  }
  CHECK(count >= 4);
}

TEST_CASE("a pod manifest is decoded, defaulted and validated") {
  const auto manifest = parse_pod_manifest(kPod, "web.yaml");
  REQUIRE(texts(manifest.errors) == Lines{});
  REQUIRE(manifest.pods.size() == 1);
  CHECK(manifest.pods[0].full_name() == "default/web");
  CHECK(manifest.pods[0].spec.containers[0].image_pull_policy == model::PullPolicy::kAlways);
}

TEST_CASE("an error names file, line, field and the fix") {
  CHECK(errors_of("apiVersion: v1\nkind: Pod\nmetadata:\n  name: web\nspec:\n  containers:\n  - name: c\n    imag: busybox\n    image: 7\n"
                  "    env:\n    - name: A\n      value: 8080\n") ==
        Lines{"web.yaml:9: spec.containers[0].image: expected a string, found the number 7 (quote it: \"7\")",
              "web.yaml:12: spec.containers[0].env[0].value: expected a string, found the number 8080 (quote it: \"8080\")",
              "web.yaml:8: spec.containers[0].imag: unknown field (did you mean 'image'?)"});
  CHECK(errors_of("apiVersion: v1\nkind: Pod\nmetadata:\n  name: w\n  annotations:\n    pintle.dev/ebpf: off\nspec: {containers: [{name: "
                  "c, image: i}]}\n") ==
        Lines{"web.yaml:6: metadata.annotations[pintle.dev/ebpf]: expected a string, found the boolean off (quote it: \"off\")"});
  CHECK(
      errors_of(
          "# comment\n---\n# more\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: web}\nspec:\n  containers:\n  - name: c\n    image: i\n"
          "    volumeMounts:\n    - name: data\n      mountPath: /d\n") ==
      Lines{"web.yaml:13: spec.containers[0].volumeMounts[0].name: the pod has no volume 'data'; add it to spec.volumes"});
}

TEST_CASE("what every object must have") {
  CHECK(errors_of("kind: Pod\n") == Lines{"web.yaml:1: apiVersion: is required", "web.yaml:1: metadata: is required"});
  CHECK(errors_of("apiVersion: v1\nmetadata: {}\n") == Lines{"web.yaml:1: kind: is required", "web.yaml:2: metadata.name: is required"});
  CHECK(errors_of("apiVersion: v1\nkind: Pod\nmetadata: {name: ''}\n") ==
        Lines{"web.yaml:3: metadata.name: is empty; give the object a name"});
  CHECK(errors_of("apiVersion: v2\nkind: Pod\nmetadata: {name: w}\nspec: {}\n") ==
        Lines{"web.yaml:1: apiVersion: expected 'v1', found 'v2'"});
  CHECK(errors_of("- 1\n") == Lines{"web.yaml:1: expected an object with apiVersion and kind, found a list"});
  CHECK(errors_of("just text\n") == Lines{"web.yaml:1: expected an object with apiVersion and kind, found a string"});
  CHECK(errors_of("").empty());
  CHECK(errors_of("---\n---\n# nothing\n...\n").empty());
}

TEST_CASE("a bad document never hides the others") {
  const std::string text =
      std::string(kPod) + "---\nkind: [\n---\napiVersion: v1\nkind: Service\nmetadata: {name: s}\nspec: {whatever: 1}\n---\n" +
      "a: 1\na: 2\n--- # the last\napiVersion: v1\nkind: Pod\nmetadata: {name: db}\nspec: {containers: [{name: c, image: i}]}\n";
  const auto manifest = parse_pod_manifest(text, "web.yaml");
  REQUIRE(manifest.pods.size() == 2);
  CHECK(manifest.pods[1].metadata.name == "db");
  REQUIRE(manifest.others.size() == 1);
  CHECK(manifest.others[0].kind == "Service");
  CHECK(manifest.others[0].line == 8);
  CHECK(manifest.others[0].json == R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"s"},"spec":{"whatever":1}})");
  REQUIRE(manifest.errors.size() == 2);
  CHECK(manifest.errors[0].context.starts_with("web.yaml:7: invalid YAML: "));
  CHECK(manifest.errors[1].context == "web.yaml:14: the key 'a' is given twice");
}

TEST_CASE("two pods of one name") {
  const std::string text = std::string(kPod) + "---\n" + std::string(kPod);
  const auto manifest = parse_pod_manifest(text, "web.yaml");
  CHECK(manifest.pods.size() == 1);
  CHECK(texts(manifest.errors) == Lines{"web.yaml:6: metadata.name: the pod 'default/web' is already defined in line 1; rename one"});
  CHECK(errors_of(std::string(kPod) +
                  "---\napiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: other}\nspec: {containers: [{name: c, image: i}]}\n")
            .empty());
}

TEST_CASE("lists are their items") {
  const auto list = parse_pod_manifest(
      "apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n  spec: {containers: [{name: c, image: "
      "i}]}\n"
      "- apiVersion: v1\n  kind: ConfigMap\n  metadata: {name: b}\n- 7\n",
      "l.yaml");
  CHECK(list.pods.size() == 1);
  CHECK(list.others.size() == 1);
  CHECK(texts(list.errors).size() == 1);
  const auto pods = parse_pod_manifest(
      R"({"kind":"PodList","apiVersion":"v1","items":[{"metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"i"}]}}]})",
      "l.json");
  CHECK(texts(pods.errors) == Lines{});
  REQUIRE(pods.pods.size() == 1);
  CHECK(errors_of("apiVersion: v1\nkind: List\nitems: {}\n") == Lines{"web.yaml:3: items: expected a list, found a map"});
}

TEST_CASE("JSON manifests, one or several, and YAML that looks like JSON") {
  const std::string one = R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"c","image":"i"}]}})";
  CHECK(parse_pod_manifest(one, "p.json").pods.size() == 1);
  CHECK(errors_of(one + "\n{\n", "p.json").at(0).starts_with("p.json:"));
  CHECK(parse_pod_manifest(one + "\n" + one.substr(0, one.find("\"a\"")) + "\"b\"" + one.substr(one.find("\"a\"") + 3), "p.json")
            .pods.size() == 2);
  CHECK(parse_manifest("{apiVersion: v1, kind: Thing, metadata: {name: x}}", "p.yaml").objects.size() == 1);
  CHECK(errors_of("{apiVersion: v1}", "p.json").at(0).find("invalid JSON") != std::string::npos);
  CHECK(errors_of("{\n\"apiVersion\": v1\n", "p.yaml").at(0) ==
        "p.yaml:2: column 15: invalid JSON: syntax error while parsing value - invalid literal; last read: '\"apiVersion\": v'");
}

TEST_CASE("plain scalars have kubectl's types") {
  CHECK(yaml("[yes, No, on, OFF, y, true, ~, null, '', , Null]") == R"([true,false,true,false,true,true,null,null,"",null,null])");
  CHECK(yaml("[010, 0x1F, 0o17, 0b101, 08, +5, -0, 1_000, 1e3, .5, 1., 1:30, 2001-01-01, 1.2.3, 0x, 64Mi, 1-2]") ==
        R"([8,31,15,5,8,5,0,1000,1e3,0.5,1,"1:30","2001-01-01","1.2.3","0x","64Mi","1-2"])");
  CHECK(yaml("a: 'yes'\nb: \"1\"\nc: !!str 5\nd: !!int '7'\ne: |\n  12\nf: !!binary aGk=\n") ==
        R"({"a":"yes","b":"1","c":"5","d":7,"e":"12\n","f":"hi"})");
  CHECK(yaml("on: 1\n12: 2\n") == R"({"true":1,"12":2})");
  CHECK(yaml("a: .nan\n") == "x.yaml:1: '.nan' can't be written in JSON; quote it if it is a string");
  CHECK(yaml("a: !thing 1\n") == "x.yaml:1: the tag '!thing' does not fit '1'");
  CHECK(yaml("? [a]\n: 1\n") == "x.yaml:1: a map or list can't be a key");
}

TEST_CASE("anchors and merges") {
  CHECK(yaml("a: &x {p: 1, q: 2}\nb: *x\nc: {<<: *x, q: 3}\nd: {<<: [{p: 8}, *x], r: 4}\n") ==
        R"({"a":{"p":1,"q":2},"b":{"p":1,"q":2},"c":{"q":3,"p":1},"d":{"r":4,"p":8,"q":2}})");
  CHECK(yaml("&k a: 1\nb: *k\n") == R"({"a":1,"b":"a"})");
  CHECK(yaml("a: {<<: 7}\n") == "x.yaml:1: '<<' takes a map or a list of maps");
  CHECK(yaml("a: &x\n  b: *x\n") == "x.yaml:2: an alias stands inside the very value it names: that would have no end");
  CHECK(yaml("a: *nobody\n").starts_with("x.yaml:1: invalid YAML: "));
}

TEST_CASE("expansions are bounded") {
  std::string laughs = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 12; ++i) {
    std::string line = "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [";
    for (int j = 0; j < 10; ++j) line += (j > 0 ? ", *a" : "*a") + std::to_string(i - 1);
    laughs += line + "]\n";
  }
  CHECK(yaml(laughs).find("more than 1000000 values") != std::string::npos);
  std::string texts_text = "a: &a " + std::string(1'000'000, 'x') + "\nb: [";
  for (int i = 0; i < 100; ++i) texts_text += "*a,";
  CHECK(yaml(texts_text + "*a]\n") == "x.yaml:2: more than 64 MiB of text once aliases are expanded");
  std::string deep;
  for (int i = 0; i < 70; ++i) deep += "[";
  CHECK(yaml(deep + std::string(70, ']')).find("nested deeper than 64 levels") != std::string::npos);
  std::string chain = "a0: &a0 [x]\n";
  for (int i = 1; i < 80; ++i) chain += "a" + std::to_string(i) + ": &a" + std::to_string(i) + " [*a" + std::to_string(i - 1) + "]\n";
  CHECK(yaml(chain).find("nested deeper than 64 levels") != std::string::npos);
  for (const std::string& text : {std::string(100'000, '['), std::string(100'000, '{')}) CHECK(yaml(text).starts_with("x.yaml:"));
}

TEST_CASE("stray text behind a document is an error, not an endless stream") {
  for (const char* text : {"a: 1\n]\n", "[1] ]", "...\n}\n", "a: 1\n...\n]\n", "]", ",", "}\n---\na: 1\n"}) {
    INFO(text);
    const auto documents = parse_documents(text, "x.yaml");
    CHECK_FALSE(documents.errors.empty());
  }
  CHECK(parse_documents("[1] ]", "x.yaml").roots.empty());
  CHECK(parse_documents("]\n---\na: 1\n", "x.yaml").roots.size() == 1);
}

TEST_CASE("bytes that are no text") {
  CHECK(yaml("a: 1\nb: \xff\n") == "x.yaml:2: byte 8 is not UTF-8");
  CHECK(yaml(std::string_view("a: \0\n", 5)) == "x.yaml:1: byte 3 is a NUL");
  CHECK(yaml("\xEF\xBB\xBF"
             "a: 1\n") == R"({"a":1})");
  CHECK(yaml("a: 1\r\nb: 2\r\n") == R"({"a":1,"b":2})");
}

TEST_CASE("large manifests end in time") {
  const SystemClock clock;
  const auto seconds_for = [&](const std::string& text) {
    const auto start = clock.steady();
    (void)parse_pod_manifest(text, "big.yaml");
    return std::chrono::duration<double>(clock.steady() - start).count();
  };
  CHECK(errors_of(std::string(kMaxManifestBytes + 1, ' ')) == Lines{"web.yaml:1: 10485761 bytes are more than the limit of 10 MiB"});
  std::string pods;
  for (int i = 0; pods.size() < 300'000; ++i)
    pods += "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p" + std::to_string(i) + "}\nspec: {containers: [{name: c, image: i}]}\n";
  const auto manifest = parse_pod_manifest(pods, "big.yaml");
  CHECK(manifest.errors.empty());
  CHECK(manifest.pods.size() > 2'500);
  // Generous, for sanitizers and slow machines: what must not happen is time that grows faster than the text.
  std::string list = "a:\n";
  while (list.size() < kMaxManifestBytes - 8) list += "- b\n";
  CHECK(seconds_for(list) < 120);
  std::string key_values;
  for (int i = 0; key_values.size() < 1'000'000; ++i) key_values += "k" + std::to_string(i) + ": v\n";
  CHECK(seconds_for(key_values) < 120);
  std::string one_text = "a: \"" + std::string(kMaxManifestBytes - 8, 'x') + "\"\n";
  CHECK(seconds_for(one_text) < 120);
}

}  // namespace pintle::codec

TEST_CASE("a document that is nothing but a text comes back from YAML, whatever its lines look like") {
  for (const std::string text : {"-\n", "---\nx\n", "...\n", "a: b\n- c\n"}) {
    CAPTURE(text);
    const auto documents = pintle::codec::parse_documents("|\n  " + text.substr(0, text.find('\n') + 1), "m.yaml");
    REQUIRE(documents.roots.size() == 1);
    auto root = documents.roots[0];
    root.text = text;
    const auto again = pintle::codec::parse_documents(pintle::codec::to_yaml(root), "m.yaml");
    REQUIRE(again.errors.empty());
    REQUIRE(again.roots.size() == 1);
    CHECK(again.roots[0].text == text);
  }
}

TEST_CASE("a key that is too long to stand before a ':' comes back") {
  const std::string key(1100, 'k'), control(200, '\x7F');
  for (const std::string& long_key : {key, control})
    for (const char* value : {"1", "[1,{\"a\":2}]", "{\"a\":[3],\"b\":{}}", "\"two\\nlines\\n\"", "[]"}) {
      std::string written;
      for (const char c : long_key) written += c == '\x7F' ? "\\u007f" : std::string(1, c);
      const std::string json = "{\"x\":[{\"" + written + "\":" + value + "}],\"" + written + "\":" + value + "}";
      const auto root = pintle::codec::parse_json(json, "m.json");
      REQUIRE(root);
      const auto again = pintle::codec::parse_documents(pintle::codec::to_yaml(*root), "m.yaml");
      REQUIRE(again.errors.empty());
      REQUIRE(again.roots.size() == 1);
      CHECK(pintle::codec::to_json(again.roots[0]) == json);
    }
}
