// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Both feeds of ConfigMaps and Secrets over real sockets: what is told of an object through its life and through the server's.
#include "kube/object_watcher.h"

#include <algorithm>
#include <filesystem>
#include <functional>
#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "fakes/certificate.h"
#include "fakes/kube/fake_api_server.h"
#include "fakes/kube/seen.h"
#include "fakes/kube/silent_server.h"
#include "fakes/store/temp_dir.h"
#include "kube/all_objects_watcher.h"

using namespace pintle;
using namespace pintle::kube;
using fakes::ApiFault;
using fakes::Carrier;
using fakes::FakeApiServer;
using fakes::Json;
using ports::ConfigKey;
using ports::ConfigKind;

namespace {

const SystemClock kClock;

ConfigKey map_key(const std::string& name) { return {ConfigKind::kConfigMap, "shop", name}; }
ConfigKey secret_key(const std::string& name) { return {ConfigKind::kSecret, "shop", name}; }

Json config_map(const std::string& name, const std::string& colour, const std::string& space = "shop") {
  return {
      {"apiVersion", "v1"}, {"kind", "ConfigMap"}, {"metadata", {{"name", name}, {"namespace", space}}}, {"data", {{"colour", colour}}}};
}

// Of each object: the colour that is known to hold, or "changed", "lost".
class Recorder final : public ports::ObjectSink {
 public:
  void seen(const ConfigKey& key, ports::ConfigObject object) override {
    std::string colour;
    if (auto* map = std::get_if<model::ConfigMap>(&object)) colour = map->data["colour"];
    if (auto* secret = std::get_if<model::Secret>(&object)) colour = secret->data["colour"];
    told_.change([&](Told& all) { all.now[key] = all.colours[key] = colour; });
  }
  void changed(const ConfigKey& key) override {
    told_.change([&](Told& all) { all.now[key] = "changed"; });
  }
  void lost(const ConfigKey& key) override {
    told_.change([&](Told& all) { all.now[key] = "lost"; });
  }
  void resumed(const ConfigKey& key) override {
    told_.change([&](Told& all) { all.now[key] = all.colours[key]; });
  }
  bool wait(const std::function<bool(const std::map<ConfigKey, std::string>&)>& done) {
    return told_.wait([&](const Told& all) { return done(all.now); });
  }
  bool comes_to(const ConfigKey& key, const std::string& wanted) {
    return wait([&](const auto& now) { return now.contains(key) && now.at(key) == wanted; });
  }
  bool knows(const ConfigKey& key) { return told_.now().now.contains(key); }

 private:
  struct Told {
    std::map<ConfigKey, std::string> now, colours;
  };
  fakes::Seen<Told> told_;
};

ObjectWatcherOptions quick() { return {.most = 4, .backoff = fakes::kNoPatience, .reach = fakes::kNoPatience}; }

struct Rig {
  explicit Rig(Carrier carrier = Carrier::kPlain) : server(carrier) {}
  FakeApiServer server;
  Recorder sink;
  ObjectWatcher watcher{server.config(), kClock, quick(), sink};

  ~Rig() { watcher.stop(); }
  void begin(std::set<ConfigKey> keys) {
    watcher.watch(std::move(keys));
    REQUIRE(watcher.start());
  }
  bool watches(int count) {
    return server.wait_for([&](const auto&, int open) { return open == count; });
  }
};

}  // namespace

TEST_CASE("row 2.11: each object is watched by its name, from what it is through every change to its end") {
  Rig rig(GENERATE(Carrier::kPlain, Carrier::kTls));
  rig.server.create("configmaps", "shop", config_map("settings", "blue"));
  rig.server.create("configmaps", "other", config_map("settings", "wrong", "other"));
  rig.server.create("secrets", "shop", {{"metadata", {{"name", "key"}, {"namespace", "shop"}}}, {"data", {{"colour", "cmVk"}}}});
  rig.begin({map_key("settings"), secret_key("key"), map_key("later")});
  CHECK(rig.sink.comes_to(map_key("settings"), "blue"));
  CHECK(rig.sink.comes_to(secret_key("key"), "red"));
  REQUIRE(rig.watches(3));
  CHECK_FALSE(rig.sink.knows(map_key("later")));
  rig.server.create("configmaps", "shop", config_map("later", "white"));
  CHECK(rig.sink.comes_to(map_key("later"), "white"));
  rig.server.patch("configmaps", "other", "settings", {{"data", {{"colour", "grey"}}}});
  rig.server.patch("configmaps", "shop", "settings", {{"data", {{"colour", "green"}}}});
  CHECK(rig.sink.comes_to(map_key("settings"), "green"));
  rig.server.patch("configmaps", "shop", "settings", {{"data", 7}});  // can't be read: asked for, and told then
  CHECK(rig.sink.comes_to(map_key("settings"), "changed"));
  rig.server.patch("configmaps", "shop", "settings", {{"data", {{"colour", "black"}}}});
  CHECK(rig.sink.comes_to(map_key("settings"), "black"));
  rig.server.remove("configmaps", "shop", "settings");
  CHECK(rig.sink.comes_to(map_key("settings"), "changed"));
  for (const auto& call : rig.server.calls()) {
    CHECK(call.path.starts_with("/api/v1/namespaces/shop/"));
    CHECK(call.query.starts_with("fieldSelector=metadata.name%3D"));
    CHECK(call.query.find("&watch=true") != std::string::npos);
  }
}

TEST_CASE("what is asked for changes while it runs, and more than the most is left out") {
  Rig rig(GENERATE(Carrier::kPlain, Carrier::kTls));
  for (const char* name : {"a", "b", "c", "d", "e"}) rig.server.create("configmaps", "shop", config_map(name, "blue"));
  rig.begin({map_key("a")});
  CHECK(rig.sink.comes_to(map_key("a"), "blue"));
  rig.watcher.watch({map_key("b")});
  CHECK(rig.sink.comes_to(map_key("b"), "blue"));
  CHECK(rig.watches(1));
  rig.watcher.watch({map_key("a"), map_key("b"), map_key("c"), map_key("d"), map_key("e")});
  CHECK(rig.sink.comes_to(map_key("d"), "blue"));
  CHECK(rig.watches(4));
  CHECK_FALSE(rig.sink.knows(map_key("e")));
  rig.watcher.watch({});
  CHECK(rig.watches(0));
}

TEST_CASE("a watch that breaks off is told as lost, and resumes where it was") {
  Rig rig(GENERATE(Carrier::kPlain, Carrier::kTls));
  rig.server.create("configmaps", "shop", config_map("settings", "blue"));
  rig.begin({map_key("settings")});
  REQUIRE(rig.sink.comes_to(map_key("settings"), "blue"));
  REQUIRE(rig.watches(1));
  SECTION("with nothing new") {
    rig.server.drop_watches();
    CHECK(rig.server.wait_for([](const auto& calls, int open) { return calls.size() >= 2 && open == 1; }));
    CHECK(rig.sink.comes_to(map_key("settings"), "blue"));
    CHECK(rig.sink.wait([&](const auto&) { return true; }));
    CHECK(rig.server.calls().back().query.find("resourceVersion=") != std::string::npos);
  }
  SECTION("with what changed meanwhile") {
    rig.server.fail_next({.method = "GET", .path_contains = "settings", .status = 503, .times = 3});
    rig.server.drop_watches();
    REQUIRE(rig.sink.comes_to(map_key("settings"), "lost"));
    rig.server.patch("configmaps", "shop", "settings", {{"data", {{"colour", "green"}}}});
    CHECK(rig.sink.comes_to(map_key("settings"), "green"));
  }
  SECTION("from its beginning after 410, since what was missed is not known") {
    rig.server.expire_watches();
    CHECK(rig.sink.comes_to(map_key("settings"), "blue"));
    CHECK(rig.server.wait_for([](const auto& calls, int open) { return calls.size() >= 2 && open == 1; }));
    CHECK(rig.server.calls().back().query.find("resourceVersion=") == std::string::npos);
  }
  SECTION("after a line that is none") {
    rig.server.inject_line("{\"type\":");
    CHECK(rig.server.wait_for([](const auto& calls, int open) { return calls.size() >= 2 && open == 1; }));
    rig.server.patch("configmaps", "shop", "settings", {{"data", {{"colour", "green"}}}});
    CHECK(rig.sink.comes_to(map_key("settings"), "green"));
  }
}

TEST_CASE("a refusal is tried again; Retry-After is kept to") {
  Rig rig(GENERATE(Carrier::kPlain, Carrier::kTls));
  rig.server.create("configmaps", "shop", config_map("settings", "blue"));
  rig.server.fail_next({.path_contains = "settings", .status = 403, .reason = "Forbidden", .times = 3});
  rig.server.fail_next({.path_contains = "settings", .status = 429, .reason = "TooManyRequests", .retry_after = 1});
  const SteadyTime begun = kClock.steady();
  rig.begin({map_key("settings")});
  CHECK(rig.sink.comes_to(map_key("settings"), "blue"));
  CHECK(kClock.steady() - begun >= std::chrono::seconds(1));
}

TEST_CASE("a server that can't be reached is tried by one connection for all, and all come when it is there") {
  Recorder sink;
  auto server = std::make_unique<FakeApiServer>(GENERATE(Carrier::kPlain, Carrier::kTls));
  const Kubeconfig config = server->config();
  for (const char* name : {"a", "b", "c"}) server->create("configmaps", "shop", config_map(name, "blue"));
  ObjectWatcher watcher(config, kClock, quick(), sink);
  watcher.watch({map_key("a"), map_key("b"), map_key("c")});
  REQUIRE(watcher.start());
  const auto all = [](const std::string& wanted) {
    return [wanted](const std::map<ConfigKey, std::string>& now) {
      return now.size() == 3 && std::ranges::all_of(now, [&](const auto& one) { return one.second == wanted; });
    };
  };
  REQUIRE(sink.wait(all("blue")));
  server.reset();
  CHECK(sink.wait(all("lost")));
  watcher.stop();
}

TEST_CASE("an object of many TLS records comes whole, and so does each of its changes") {
  Rig rig(Carrier::kTls);
  const auto large = [](char fill) { return std::string(900'000, fill); };
  rig.server.create("configmaps", "shop", config_map("settings", large('a')));
  rig.server.create("configmaps", "shop", config_map("other", large('b')));
  rig.begin({map_key("settings"), map_key("other")});
  CHECK(rig.sink.comes_to(map_key("settings"), large('a')));
  CHECK(rig.sink.comes_to(map_key("other"), large('b')));
  REQUIRE(rig.watches(2));
  for (const char fill : {'c', 'd'}) {
    rig.server.patch("configmaps", "shop", "settings", {{"data", {{"colour", large(fill)}}}});
    CHECK(rig.sink.comes_to(map_key("settings"), large(fill)));
  }
}

TEST_CASE("a server that is not who it should be is told nothing, and believed as soon as the authority's file says who it is") {
  const bool each = GENERATE(true, false);  // a watch of each, or one of all
  const fakes::TempDir dir;
  FakeApiServer server(Carrier::kTls);
  Recorder sink;
  server.create("configmaps", "shop", config_map("settings", "blue"));
  Kubeconfig config = server.config();
  config.ca = {.inline_data = {}, .file = dir / "ca.pem"};
  fakes::write_text(config.ca.file, fakes::Certificate("stranger", "IP:127.0.0.1").certificate_pem());
  ObjectWatcher of_each(config, kClock, quick(), sink);
  AllObjectsWatcher of_all(config, kClock, {.page_size = 1, .backoff = fakes::kNoPatience}, sink);
  ports::ObjectFeed& feed = each ? static_cast<ports::ObjectFeed&>(of_each) : of_all;
  feed.watch({map_key("settings")});
  REQUIRE((each ? of_each.start() : of_all.start()));
  const SteadyTime end = kClock.steady() + std::chrono::seconds(10);
  while (server.handshakes() < 3 && kClock.steady() < end) std::this_thread::yield();
  CHECK(server.handshakes() >= 3);
  CHECK(server.calls().empty());
  CHECK_FALSE(sink.knows(map_key("settings")));
  fakes::write_text(dir / "new.pem", server.certificate_pem());
  std::filesystem::rename(dir / "new.pem", config.ca.file);
  CHECK(sink.comes_to(map_key("settings"), "blue"));
  of_each.stop();
  of_all.stop();
}

TEST_CASE("a stop ends a watch whose server is silent, in the TLS handshake too") {
  const bool tls = GENERATE(false, true);
  fakes::SilentServer server;
  Recorder sink;
  ObjectWatcher watcher(server.config(tls), kClock, quick(), sink);
  watcher.watch({map_key("a")});
  REQUIRE(watcher.start());
  REQUIRE(server.wait_for([](int accepted, size_t bytes, int) { return accepted > 0 && bytes > 0; }));
  watcher.stop();
  CHECK(server.wait_for([](int, size_t, int open) { return open == 0; }));
  CHECK_FALSE(sink.knows(map_key("a")));
}

TEST_CASE("a stop ends a watch that is being connected to nobody") {
  Recorder sink;
  Kubeconfig config;
  config.tls = false;
  config.host = "127.0.0.1";
  config.port = 1;  // nobody listens
  ObjectWatcher watcher(config, kClock, quick(), sink);
  watcher.watch({map_key("a")});
  REQUIRE(watcher.start());
  watcher.stop();
  CHECK_FALSE(sink.knows(map_key("a")));
}

TEST_CASE("one watch of all objects tells of those that were asked for, and of no others") {
  FakeApiServer server(GENERATE(Carrier::kPlain, Carrier::kTls));
  Recorder sink;
  server.create("configmaps", "shop", config_map("settings", "blue"));
  server.create("configmaps", "shop", config_map("other", "blue"));
  AllObjectsWatcher watcher(server.config(), kClock, {.page_size = 1, .backoff = fakes::kNoPatience}, sink);
  watcher.watch({map_key("settings"), map_key("absent"), secret_key("key")});
  REQUIRE(watcher.start());
  CHECK(sink.comes_to(map_key("settings"), "blue"));
  CHECK(sink.comes_to(map_key("absent"), "changed"));
  CHECK(sink.comes_to(secret_key("key"), "changed"));
  REQUIRE(server.wait_for([](const auto&, int open) { return open == 2; }));
  server.patch("configmaps", "shop", "other", {{"data", {{"colour", "green"}}}});
  server.patch("configmaps", "shop", "settings", {{"data", {{"colour", "green"}}}});
  CHECK(sink.comes_to(map_key("settings"), "green"));
  CHECK_FALSE(sink.knows(map_key("other")));
  server.create("secrets", "shop", {{"metadata", {{"name", "key"}, {"namespace", "shop"}}}, {"data", {{"colour", "cmVk"}}}});
  CHECK(sink.comes_to(secret_key("key"), "red"));
  server.patch("configmaps", "shop", "settings", {{"data", 7}});
  CHECK(sink.comes_to(map_key("settings"), "changed"));
  server.patch("configmaps", "shop", "settings", {{"data", {{"colour", "white"}}}});
  CHECK(sink.comes_to(map_key("settings"), "white"));
  server.remove("configmaps", "shop", "settings");
  CHECK(sink.comes_to(map_key("settings"), "changed"));
  watcher.stop();
}
