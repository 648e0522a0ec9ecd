// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/node_watcher.h"

#include <functional>

#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>

#include "fakes/kube/fake_api_server.h"
#include "fakes/kube/seen.h"

using namespace pintle;
using namespace pintle::kube;
using fakes::ApiFault;
using fakes::Carrier;
using fakes::FakeApiServer;
using fakes::Json;

namespace {

const SystemClock kClock;

Json node(const std::string& name, const std::string& set) {
  Json made = {{"apiVersion", "v1"}, {"kind", "Node"}, {"metadata", {{"name", name}, {"labels", Json::object()}}}};
  if (!set.empty()) made["metadata"]["labels"]["set"] = set;
  return made;
}

struct World {
  struct Seen {
    std::vector<std::string> labels;
    std::string trouble;
    std::vector<std::string> forbidden;
  };
  explicit World(Carrier carrier = Carrier::kPlain) : server(carrier) {}
  FakeApiServer server;
  fakes::Seen<Seen> seen;
  NodeWatcher watcher{server.config(),
                      kClock,
                      {.node_name = "n1", .backoff = fakes::kNoPatience},
                      {.node =
                           [this](const model::Node& told) {
                             seen.change([&](Seen& all) {
                               const auto found = told.metadata.labels.find("set");
                               all.labels.push_back(found == told.metadata.labels.end() ? "-" : found->second);
                             });
                           },
                       .trouble = [this](const std::string& error) { seen.change([&](Seen& all) { all.trouble = error; }); },
                       .forbidden = [this](const std::string& error) { seen.change([&](Seen& all) { all.forbidden.push_back(error); }); }}};

  bool wait(const std::function<bool(const Seen&)>& done) { return seen.wait(done); }
  bool told(const std::string& label) {
    return wait([&](const Seen& all) { return !all.labels.empty() && all.labels.back() == label; });
  }
  void watched() {
    server.wait_for([](const auto&, int watches) { return watches == 1; });
  }
};

}  // namespace

TEST_CASE("the own node is told as it is and as it changes, by one list and one watch") {
  World w(GENERATE(Carrier::kPlain, Carrier::kTls));
  w.server.create("nodes", "", node("n1", ""));
  w.server.create("nodes", "", node("n2", "other"));
  REQUIRE(w.watcher.start());
  REQUIRE(w.told("-"));
  w.watched();
  w.server.patch("nodes", "", "n2", {{"metadata", {{"labels", {{"set", "another"}}}}}});
  w.server.patch("nodes", "", "n1", {{"metadata", {{"labels", {{"set", "next"}}}}}});
  REQUIRE(w.told("next"));
  w.server.patch("nodes", "", "n1", {{"metadata", {{"labels", {{"set", nullptr}}}}}});
  REQUIRE(w.wait([](const auto& all) { return all.labels == std::vector<std::string>{"-", "next", "-"}; }));
  w.watcher.stop();
  const auto calls = w.server.calls();
  CHECK(calls.size() == 2);
  for (const auto& call : calls) CHECK(call.query.find("fieldSelector=metadata.name%3Dn1") != std::string::npos);
}

TEST_CASE("a node that is not there yet, or goes, says nothing; when it is back it is told") {
  World w;
  REQUIRE(w.watcher.start());
  w.watched();
  w.server.create("nodes", "", node("n1", "next"));
  REQUIRE(w.told("next"));
  w.server.remove("nodes", "", "n1");
  w.server.create("nodes", "", node("n1", "again"));
  REQUIRE(w.wait([](const auto& all) { return all.labels == std::vector<std::string>{"next", "again"}; }));
  w.watcher.stop();
}

TEST_CASE("a server that can't answer is trouble and no word about the node; one that forbids says so") {
  World w(GENERATE(Carrier::kPlain, Carrier::kTls));
  w.server.create("nodes", "", node("n1", "next"));
  w.server.fail_next({.kind = ApiFault::Kind::kStatus, .path_contains = "nodes", .status = 403, .reason = "Forbidden"});
  REQUIRE(w.watcher.start());
  REQUIRE(w.wait([](const auto& all) { return all.forbidden.size() == 1; }));
  REQUIRE(w.told("next"));
  REQUIRE(w.wait([](const auto& all) { return all.trouble.empty(); }));
  w.watched();
  w.server.fail_next({.kind = ApiFault::Kind::kStatus, .path_contains = "nodes", .status = 500});
  w.server.drop_watches();
  REQUIRE(w.wait([](const auto& all) { return all.trouble.find("node 'n1': 500") != std::string::npos; }));
  w.server.patch("nodes", "", "n1", {{"metadata", {{"labels", {{"set", "later"}}}}}});
  REQUIRE(w.told("later"));
  w.watcher.stop();
  CHECK(w.seen.now().forbidden.size() == 1);
  CHECK(w.seen.now().forbidden[0].find("403 Forbidden") != std::string::npos);
}

TEST_CASE("a node that can't be read stays told of until it can, however well the API answers") {
  World w;
  Json bad = node("n1", "next");
  bad["metadata"]["labels"] = 7;
  w.server.fail_next({.kind = ApiFault::Kind::kBody, .path_contains = "nodes", .body = fakes::list_json("Node", Json::array({bad}))});
  REQUIRE(w.watcher.start());
  w.watched();
  w.server.send_bookmarks();
  CHECK(w.wait([](const World::Seen& all) { return all.trouble.find("read node 'n1'") != std::string::npos; }));
  CHECK(w.wait([](const World::Seen& all) { return all.trouble.find("metadata.labels") != std::string::npos && all.labels.empty(); }));
  w.server.create("nodes", "", node("n1", "after"));
  CHECK(w.told("after"));
  CHECK(w.wait([](const World::Seen& all) { return all.trouble.empty(); }));
}
