// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include <functional>
#include <map>
#include <set>

#include "fakes/kube/fake_api_server.h"
#include "fakes/kube/seen.h"
#include "kube/program_watcher.h"

using namespace pintle;
using namespace pintle::kube;
using fakes::ApiFault;
using fakes::Carrier;
using fakes::FakeApiServer;
using fakes::Json;

namespace {

const SystemClock kClock;

class Recorder final : public ports::PodProgramSink {
 public:
  struct Seen {
    std::map<std::string, ports::PodProgramFile> files;
    std::set<std::string> synced;
    std::string trouble;
  };
  void put(ports::PodProgramFile file) override {
    seen_.change([&](Seen& all) { all.files.insert_or_assign(file.origin, std::move(file)); });
  }
  void gone(const std::string& origin) override {
    seen_.change([&](Seen& all) { all.files.erase(origin); });
  }
  void synced(const std::string& source) override {
    seen_.change([&](Seen& all) { all.synced.insert(source); });
  }
  void trouble(const std::string&, const std::string& error) override {
    seen_.change([&](Seen& all) { all.trouble = error; });
  }
  bool wait(const std::function<bool(const Seen&)>& done) { return seen_.wait(done); }

 private:
  fakes::Seen<Seen> seen_;
};

constexpr const char* kDocument =
    "apiVersion: pintle.dev/v1alpha1\nkind: PodProgram\nmetadata: {name: deny}\nspec: {object: deny.o, program: deny, hook: connect4}\n";

Json config_map(const std::string& name, const std::string& document, const std::string& base64) {
  Json map = {{"apiVersion", "v1"},
              {"kind", "ConfigMap"},
              {"metadata", {{"name", name}, {"namespace", "ops"}, {"labels", {{"pintle.dev/pod-program", "true"}}}}},
              {"data", {{"program.yaml", document}}}};
  if (!base64.empty()) map["binaryData"] = {{"deny.o", base64}};
  return map;
}

struct World {
  explicit World(Carrier carrier = Carrier::kPlain) : server(carrier) {}
  ~World() { watcher.stop(); }
  bool watched() {
    return server.wait_for([](const auto&, int watches) { return watches == 1; });
  }
  FakeApiServer server;
  Recorder seen;
  ProgramWatcher watcher{server.config(), kClock, {.namespace_ = "ops", .backoff = fakes::kNoPatience}, seen};
};

}  // namespace

TEST_CASE("programs come from the labelled ConfigMaps of one namespace, with their objects") {
  World w(GENERATE(Carrier::kPlain, Carrier::kTls));
  w.server.create("configmaps", "ops", config_map("deny", kDocument, "Ynl0ZXM="));
  w.server.create("configmaps", "ops", config_map("bare", kDocument, ""));
  REQUIRE(w.watcher.start());
  REQUIRE(w.seen.wait([](const auto& seen) { return seen.synced.contains("configmaps") && seen.files.size() == 2; }));
  CHECK(w.watched());
  for (const auto& call : w.server.calls()) {
    CHECK(call.path == "/api/v1/namespaces/ops/configmaps");
    CHECK(call.query.find("pintle.dev") != std::string::npos);
  }
  REQUIRE(w.seen.wait([](const auto& seen) {
    const auto& file = seen.files.at("configmap ops/deny");
    return file.source == "configmaps" && file.errors.empty() && file.programs.size() == 1 && file.programs[0].object &&
           **file.programs[0].object == "bytes";
  }));
  REQUIRE(w.seen.wait([](const auto& seen) {
    const auto& object = seen.files.at("configmap ops/bare").programs.at(0).object;
    return !object && object.error().message() == "configmap ops/bare has no object 'deny.o' in binaryData";
  }));
  w.server.patch("configmaps", "ops", "deny", {{"data", {{"program.yaml", "kind: [\n"}}}});
  REQUIRE(w.seen.wait([](const auto& seen) {
    const auto& errors = seen.files.at("configmap ops/deny").errors;
    return errors.size() == 1 && errors[0].starts_with("configmap ops/deny: program.yaml:");
  }));
  w.server.remove("configmaps", "ops", "deny");
  REQUIRE(w.seen.wait([](const auto& seen) { return seen.files.size() == 1; }));
}

TEST_CASE("what went while nobody watched is noticed by the next list") {
  World w(GENERATE(Carrier::kPlain, Carrier::kTls));
  w.server.create("configmaps", "ops", config_map("one", kDocument, "Ynl0ZXM="));
  w.server.create("configmaps", "ops", config_map("two", kDocument, "Ynl0ZXM="));
  REQUIRE(w.watcher.start());
  REQUIRE(w.seen.wait([](const auto& seen) { return seen.files.size() == 2; }));
  CHECK(w.watched());
  w.server.fail_next({.kind = ApiFault::Kind::kStatus, .method = "GET", .path_contains = "configmaps", .status = 500});
  w.server.drop_watches();
  w.server.remove("configmaps", "ops", "two");
  w.server.expire_watches();
  REQUIRE(w.seen.wait([](const auto& seen) { return seen.files.size() == 1 && seen.files.contains("configmap ops/one"); }));
}

TEST_CASE("a ConfigMap without a document says so, and a server that refuses is told") {
  World w;
  Json empty = config_map("empty", kDocument, "");
  empty["data"] = {{"notes.txt", "nothing"}};
  w.server.create("configmaps", "ops", empty);
  w.server.fail_next({.kind = ApiFault::Kind::kStatus, .path_contains = "configmaps", .status = 403, .reason = "Forbidden"});
  REQUIRE(w.watcher.start());
  REQUIRE(w.seen.wait([](const auto& seen) { return seen.trouble.find("configmaps of namespace 'ops'") != std::string::npos; }));
  REQUIRE(w.seen.wait([](const auto& seen) { return seen.files.size() == 1 && seen.trouble.empty(); }));
  REQUIRE(w.seen.wait([](const auto& seen) {
    return seen.files.at("configmap ops/empty").errors.at(0).find("no key of data ends in .yaml") != std::string::npos;
  }));
}

TEST_CASE("a ConfigMap without a readable name is told, and keeps no other from being read") {
  World w;
  w.server.fail_next({.kind = ApiFault::Kind::kBody,
                      .path_contains = "configmaps",
                      .body = fakes::list_json("ConfigMap", {7, config_map("deny", kDocument, "Ynl0ZXM=")})});
  REQUIRE(w.watcher.start());
  CHECK(w.seen.wait([](const auto& seen) {
    return seen.files.contains("configmap ops/deny") && seen.synced.contains("configmaps") &&
           seen.trouble.find("metadata: expected a mapping") != std::string::npos;
  }));
}
