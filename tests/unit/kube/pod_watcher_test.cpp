// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <fmt/format.h>

#include "fakes/kube/fake_api_server.h"
#include "fakes/kube/pod_recorder.h"
#include "kube/pod_watcher.h"

using namespace pintle;
using namespace pintle::kube;
using Catch::Matchers::ContainsSubstring;
using fakes::ApiFault;
using fakes::FakeApiServer;
using fakes::Json;
using fakes::pod_json;
using fakes::PodRecorder;
using std::chrono::milliseconds;

namespace {

const SystemClock kClock;

PodWatcherOptions quick(int page_size = 500) {
  return {.node_name = "n1", .page_size = page_size, .backoff = {milliseconds(1), milliseconds(20)}};
}
bool is_list(const fakes::ApiCall& call) { return call.path == "/api/v1/pods" && call.query.find("watch=") == std::string::npos; }
bool is_watch(const fakes::ApiCall& call) { return call.query.find("watch=") != std::string::npos; }
auto count(const std::vector<fakes::ApiCall>& calls, bool (*which)(const fakes::ApiCall&)) { return std::ranges::count_if(calls, which); }

std::string watched_from(const fakes::ApiCall& call) {
  const size_t at = call.query.find("resourceVersion=") + 16;
  return call.query.substr(at, call.query.find('&', at) - at);
}

struct Rig {
  FakeApiServer server;
  PodRecorder pods;
  PodWatcher watcher;
  explicit Rig(PodWatcherOptions options = quick()) : watcher(server.config(), kClock, std::move(options)) {}
  ~Rig() { watcher.stop(); }
  void start_and_settle() {
    REQUIRE(watcher.start(pods));
    REQUIRE(server.wait_for([](const auto&, int open) { return open == 1; }));
  }
};

}  // namespace

TEST_CASE("pods of the node are listed in pages, then watched with bookmarks") {
  Rig rig(quick(2));
  for (int i = 0; i < 5; ++i) rig.server.create("pods", "default", pod_json(fmt::format("p{}", i)));
  rig.server.create("pods", "default", pod_json("elsewhere", "n2"));
  rig.start_and_settle();
  CHECK(rig.pods.wait_names({"p0", "p1", "p2", "p3", "p4"}));
  CHECK(rig.pods.sets() == 1);
  const auto calls = rig.server.calls();
  CHECK(count(calls, is_list) == 3);
  CHECK_THAT(calls.at(0).query, ContainsSubstring("fieldSelector=spec.nodeName%3Dn1") && ContainsSubstring("limit=2"));
  CHECK_THAT(calls.at(3).query, ContainsSubstring("allowWatchBookmarks=true") && ContainsSubstring("timeoutSeconds="));

  rig.server.create("pods", "default", pod_json("late"));
  CHECK(rig.pods.wait_names({"p0", "p1", "p2", "p3", "p4", "late"}));
  rig.server.patch("pods", "default", "late", {{"metadata", {{"labels", {{"x", "y"}}}}}});
  CHECK(rig.pods.wait([](const auto& view) { return view.pods.contains("late") && view.pods.at("late")->metadata.labels.contains("x"); }));
  rig.server.remove("pods", "default", "p0");
  CHECK(rig.pods.wait_names({"p1", "p2", "p3", "p4", "late"}));
  CHECK(rig.pods.sets() == 1);
}

TEST_CASE("the last version of a pod tells in which trace it was deleted") {
  Rig rig;
  const std::string traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  auto told = pod_json("told");
  told["metadata"]["annotations"]["pintle.dev/stop-traceparent"] = traceparent;
  rig.server.create("pods", "default", told);
  rig.server.create("pods", "default", pod_json("untold"));
  rig.start_and_settle();
  rig.server.remove("pods", "default", "told");
  rig.server.remove("pods", "default", "untold");
  CHECK(rig.pods.wait([&](const auto& view) { return view.deletions == std::vector<std::string>{traceparent, ""}; }));
}

TEST_CASE("a dropped watch resumes where it was, by the last bookmark, without a list") {
  Rig rig;
  rig.server.create("pods", "default", pod_json("a"));
  rig.start_and_settle();
  rig.server.create("pods", "default", pod_json("other", "n2"));  // moves the version on without an event for us
  const std::string version = rig.server.get("pods", "default", "other")["metadata"]["resourceVersion"];
  rig.server.send_bookmarks();
  rig.server.create("pods", "default", pod_json("marker"));
  CHECK(rig.pods.wait_names({"a", "marker"}));
  rig.server.drop_watches();
  CHECK(rig.server.wait_for([](const auto& calls, int open) { return count(calls, is_watch) == 2 && open == 1; }));
  rig.server.create("pods", "default", pod_json("after"));
  CHECK(rig.pods.wait_names({"a", "marker", "after"}));
  const auto calls = rig.server.calls();
  CHECK(count(calls, is_list) == 1);
  CHECK(std::stoll(watched_from(calls.back())) > std::stoll(version));
}

TEST_CASE("a bookmark alone moves the place of resumption") {
  Rig rig;
  rig.start_and_settle();
  for (int i = 0; i < 5; ++i) rig.server.create("pods", "default", pod_json(fmt::format("o{}", i), "n2"));
  const std::string version = rig.server.get("pods", "default", "o4")["metadata"]["resourceVersion"];
  rig.server.send_bookmarks();
  CHECK(rig.pods.wait([&](const auto&) { return rig.watcher.counts().events >= 1; }));
  rig.server.drop_watches();
  REQUIRE(rig.server.wait_for([](const auto& calls, int open) { return count(calls, is_watch) == 2 && open == 1; }));
  CHECK(watched_from(rig.server.calls().back()) == version);
}

TEST_CASE("410, as a response or as an event, lists again and misses nothing") {
  Rig rig;
  rig.server.create("pods", "default", pod_json("a"));
  rig.server.create("pods", "default", pod_json("b"));
  rig.start_and_settle();
  SECTION("event") { rig.server.expire_watches(); }
  SECTION("response") {
    rig.server.remove("pods", "default", "b");
    rig.server.create("pods", "default", pod_json("c", "n2"));
    rig.server.compact();
    rig.server.drop_watches();
  }
  CHECK(rig.server.wait_for([](const auto& calls, int open) { return count(calls, is_watch) >= 2 && open == 1; }));
  rig.server.remove("pods", "default", "b");
  rig.server.create("pods", "default", pod_json("d"));
  CHECK(rig.pods.wait_names({"a", "d"}));
}

TEST_CASE("failures to list are told, waited out and cleared") {
  Rig rig;
  rig.server.create("pods", "default", pod_json("a"));
  rig.server.fail_next({.status = 500});
  rig.server.fail_next({.status = 429, .reason = "TooManyRequests", .retry_after = 0});
  rig.server.fail_next({.kind = ApiFault::Kind::kTruncate});
  rig.server.fail_next({.kind = ApiFault::Kind::kGarbage});
  rig.server.fail_next({.status = 403, .reason = "Forbidden"});
  rig.server.fail_next({.path_contains = "watch=", .status = 503, .times = 2});
  rig.start_and_settle();
  CHECK(rig.pods.wait_names({"a"}));
  rig.server.send_bookmarks();
  CHECK(rig.pods.wait([](const auto& view) { return view.problems.empty(); }));
  CHECK(rig.pods.problems_told() >= 5);
}

TEST_CASE("a bad pod is a problem of its own and ends nothing") {
  Rig rig;
  rig.server.create("pods", "default", pod_json("good"));
  rig.server.create("pods", "default", pod_json("bad"));
  rig.start_and_settle();
  CHECK(rig.pods.wait_names({"good", "bad"}));
  // Its newer version can't be read: the problem is told, the pod stays as it was.
  rig.server.patch("pods", "default", "bad", {{"spec", {{"containers", "not a list"}}}});
  CHECK(rig.pods.wait([](const auto& view) { return view.problems.contains("api:default/bad"); }));
  rig.server.create("pods", "default", pod_json("next"));
  CHECK(rig.pods.wait_names({"good", "bad", "next"}));
  CHECK(rig.watcher.counts().watches == 1);

  SECTION("over a relist too") {
    rig.server.expire_watches();
    CHECK(rig.pods.wait([&](const auto&) { return rig.watcher.counts().lists >= 2; }));
    CHECK(rig.pods.wait_names({"good", "bad", "next"}));
    CHECK(rig.pods.wait([](const auto& view) { return view.problems.contains("api:default/bad"); }));
  }
  SECTION("until it is mended") {
    rig.server.patch("pods", "default", "bad", {{"spec", {{"containers", Json::array({{{"name", "c"}, {"image", "i"}}})}}}});
    CHECK(rig.pods.wait([](const auto& view) { return view.problems.empty(); }));
  }
  SECTION("or gone") {
    rig.server.remove("pods", "default", "bad");
    CHECK(rig.pods.wait_names({"good", "next"}));
    CHECK(rig.pods.wait([](const auto& view) { return view.problems.empty(); }));
  }
}

TEST_CASE("a stream of garbage costs a new list, not the watch") {
  Rig rig;
  rig.server.create("pods", "default", pod_json("a"));
  rig.start_and_settle();
  rig.server.inject_line("{\"type\":\"ADDED\",\"object\":{\"metad");
  CHECK(rig.server.wait_for([](const auto& calls, int open) { return count(calls, is_list) == 2 && open >= 1; }));
  rig.server.create("pods", "default", pod_json("b"));
  CHECK(rig.pods.wait_names({"a", "b"}));
  CHECK(rig.pods.wait([](const auto& view) { return view.problems.empty(); }));
}

TEST_CASE("an event beyond the limit is dropped with a word") {
  auto options = quick();
  options.max_line = 4096;
  Rig rig(options);
  rig.start_and_settle();
  rig.server.inject_line(std::string(5000, 'x'));
  CHECK(rig.pods.wait([](const auto& view) { return view.problems.contains("api:watch"); }));
  rig.server.create("pods", "default", pod_json("b"));
  CHECK(rig.pods.wait_names({"b"}));
  CHECK(rig.watcher.counts().watches == 1);
}

TEST_CASE("stop ends a watcher in back-off") {
  FakeApiServer server;
  server.fail_next({.status = 500, .times = 1000});
  PodRecorder pods;
  PodWatcher watcher(server.config(), kClock, {.node_name = "n1", .backoff = {std::chrono::hours(1), std::chrono::hours(1)}});
  REQUIRE(watcher.start(pods));
  REQUIRE(pods.wait([](const auto& view) { return view.problems.contains("api"); }));
  const auto begun = kClock.steady();
  watcher.stop();
  CHECK(kClock.steady() - begun < std::chrono::seconds(5));
}

TEST_CASE("a listed pod without even a name is told by its place, and keeps no other from being known") {
  Rig rig;
  Json good = fakes::pod_json("good");
  good["metadata"]["uid"] = "u-good";
  rig.server.fail_next({.kind = fakes::ApiFault::Kind::kBody,
                        .path_contains = "/pods",
                        .body = fakes::list_json("Pod", {7, {{"metadata", {{"namespace", "default"}}}}, good})});
  rig.start_and_settle();
  CHECK(rig.pods.wait([](const PodRecorder::View& view) {
    return view.pods.contains("good") && view.problems.contains("api:items[0]") && view.problems.contains("api:items[1]");
  }));
}
