// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/pull_credentials.h"

#include <filesystem>

#include <catch2/catch_test_macros.hpp>

#include "fakes/reconcile/node_fakes.h"
#include "fakes/store/temp_dir.h"

using namespace pintle;
using namespace pintle::app;

namespace {

constexpr auto kJsonType = "kubernetes.io/dockerconfigjson";

struct Events final : ports::EventSink {
  std::vector<model::Event> told;
  void record(const model::Event& event) override { told.push_back(event); }
};

struct World {
  SystemClock clock;
  fakes::MemoryObjects objects;
  Events events;
  fakes::TempDir dir;
  std::map<std::string, std::string> problems;  // by file; without those that are good
  model::Pod pod;
  PullCredentials credentials{
      objects, events, clock, {.files = {file("first.json"), file("second.json")}, .told = [this](const auto& file, const auto& error) {
                                 if (error.empty())
                                   problems.erase(file);
                                 else
                                   problems[file] = error;
                               }}};

  World() {
    pod.metadata.namespace_ = "ns";
    pod.metadata.name = "web";
    pod.metadata.uid = "u1";
  }
  [[nodiscard]] std::string file(const std::string& name) const { return dir / name; }
  void write(const std::string& name, const std::string& text) { fakes::write_text(file(name), text); }
  void add_secret(const std::string& name, const std::string& type, const std::string& key, const std::string& text) {
    objects.secrets["ns/" + name] = {.metadata = {}, .type = type, .data = {{key, text}}};
    pod.spec.image_pull_secrets.push_back(name);
  }
  // "user:password", in the order in which they are to be tried; or the error.
  [[nodiscard]] std::vector<std::string> find(const std::string& image = "reg.example/team/app:1") {
    const auto found = credentials.find(pod, image, {});
    if (!found) return {found.error().context};
    std::vector<std::string> out;
    for (const auto& auth : *found) out.push_back(auth.username + ":" + auth.password);
    return out;
  }
};

std::string config(const std::string& registry, const std::string& user) {
  return R"({"auths":{")" + registry + R"(":{"username":")" + user + R"(","password":"hunter22"}}})";
}
using List = std::vector<std::string>;

}  // namespace

TEST_CASE("row 19.4: the pod's secrets come first, the longest path before others, then the node's file") {
  World world;
  CHECK(world.find().empty());
  world.write("second.json", config("reg.example/team/app", "node"));
  world.add_secret("short", kJsonType, ".dockerconfigjson", config("reg.example", "short"));
  world.add_secret("long", "kubernetes.io/dockercfg", ".dockercfg", R"({"reg.example/team":{"username":"long","password":"x"}})");
  world.add_secret("other", kJsonType, ".dockerconfigjson", config("other.example", "other"));
  CHECK(world.find() == List{"long:x", "short:hunter22", "node:hunter22"});
  CHECK(world.find("other.example/a") == List{"other:hunter22"});
  CHECK(world.find("busybox").empty());
  CHECK(world.events.told.empty());
  world.write("first.json", config("reg.example", "better"));  // read anew each time
  CHECK(world.find().back() == "better:hunter22");
  CHECK(world.problems.empty());
}

TEST_CASE("row 19.6: a secret that can't be had is told once for all, and the others count") {
  World world;
  world.pod.spec.image_pull_secrets = {"", "absent"};
  world.add_secret("good", kJsonType, ".dockerconfigjson", config("reg.example", "good"));
  world.add_secret("opaque", "Opaque", ".dockerconfigjson", config("reg.example", "opaque"));
  world.add_secret("keyless", kJsonType, "config.json", config("reg.example", "keyless"));
  world.add_secret("empty", kJsonType, ".dockerconfigjson", "{}");
  CHECK(world.find() == List{"good:hunter22"});
  REQUIRE(world.events.told.size() == 1);
  const auto& event = world.events.told[0];
  CHECK(event.reason == "FailedToRetrieveImagePullSecret");
  CHECK(event.type == model::EventType::kWarning);
  CHECK(event.object == model::ObjectReference{"v1", "Pod", "ns", "web", "u1", {}, {}});
  CHECK(event.message ==
        "Unable to retrieve some image pull secrets (absent, opaque, keyless, empty); attempting to pull the image may not succeed: "
        "secret 'ns/absent' not found; secret 'ns/opaque' has the type 'Opaque', not kubernetes.io/dockerconfigjson or "
        "kubernetes.io/dockercfg; secret 'ns/keyless' has no key '.dockerconfigjson'; secret 'ns/empty', key '.dockerconfigjson' holds no "
        "credentials");
}

TEST_CASE("a secret that can't be parsed is an error with secret, key, field and fix, and without its content") {
  World world;
  world.add_secret("bad", kJsonType, ".dockerconfigjson", R"({"auths":{"reg.example":{"auth":"hunter22"}}})");
  CHECK(world.find() ==
        List{"secret 'ns/bad', key '.dockerconfigjson': auths['reg.example']: auth: expected base64 of USER:PASSWORD; make it "
             "anew with: kubectl create secret docker-registry"});
  CHECK(world.credentials.find(world.pod, "a", {}).error().code == Code::kInvalid);
}

TEST_CASE("a node's file that can't be read is told, the next one counts, and it is no problem any more when it is mended") {
  World world;
  world.write("first.json", R"({"auths":{"reg.example":{"password":"hunter22)");
  world.write("second.json", config("reg.example", "second"));
  CHECK(world.find() == List{"second:hunter22"});
  CHECK(world.problems == std::map<std::string, std::string>{
                              {world.file("first.json"), "file '" + world.file("first.json") +
                                                             "': is not JSON; images are pulled without it: mend or remove the file"}});
  std::filesystem::remove(world.file("first.json"));
  CHECK(world.find() == List{"second:hunter22"});
  CHECK(world.problems.empty());
}
