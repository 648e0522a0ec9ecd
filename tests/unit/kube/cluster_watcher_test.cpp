// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>
#include <catch2/generators/catch_generators.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <algorithm>
#include <functional>

#include "fakes/kube/fake_api_server.h"
#include "fakes/kube/seen.h"
#include "kube/cluster_watcher.h"

using namespace pintle;
using namespace pintle::kube;
using Catch::Matchers::ContainsSubstring;
using fakes::Carrier;
using fakes::FakeApiServer;
using fakes::Json;
using ports::ClusterKind;

namespace {

const SystemClock kClock;

// What a sink would know by what it was told.
struct Picture {
  std::map<std::string, model::NetworkPolicy> policies;
  std::map<std::string, model::PodView> pods;
  std::set<std::string> spaces, services, slices;
  std::map<std::string, ports::ClusterUnreadable> unreadable;
  std::map<ClusterKind, std::string> troubles;
  std::set<ClusterKind> listed;
  int unwatched = 0;
};

class Recorder final : public ports::ClusterSink {
 public:
  void deliver(ports::ClusterChange change) override {
    picture_.change([&](Picture& picture) { take(picture, change); });
  }
  bool wait(const std::function<bool(const Picture&)>& done) { return picture_.wait(done); }

 private:
  static void take(Picture& picture, ports::ClusterChange& change) {
    if (auto* set = std::get_if<ports::ClusterSet>(&change)) {
      picture.listed.insert(set->kind);
      if (set->kind == ClusterKind::kPolicies) picture.policies.clear();
      if (set->kind == ClusterKind::kPods) picture.pods.clear();
      for (auto& object : set->objects) take(picture, object);
      for (auto& one : set->unreadable) picture.unreadable[one.namespace_ + "/" + one.name] = one;
    } else if (auto* one = std::get_if<ports::ClusterUpsert>(&change)) {
      take(picture, one->object);
    } else if (auto* gone = std::get_if<ports::ClusterGone>(&change)) {
      const std::string name = gone->namespace_ + "/" + gone->name;
      if (gone->kind == ClusterKind::kPolicies) picture.policies.erase(name);
      if (gone->kind == ClusterKind::kPods) picture.pods.erase(name);
      picture.unreadable.erase(name);
    } else if (auto* bad = std::get_if<ports::ClusterUnreadable>(&change)) {
      picture.unreadable[bad->namespace_ + "/" + bad->name] = *bad;
    } else if (auto* trouble = std::get_if<ports::ClusterTrouble>(&change)) {
      if (trouble->error.empty())
        picture.troubles.erase(trouble->kind);
      else
        picture.troubles[trouble->kind] = trouble->error;
    } else {
      ++picture.unwatched;
      picture.pods.clear();
    }
  }
  static void take(Picture& picture, ports::ClusterObject& object) {
    if (auto* policy = std::get_if<model::NetworkPolicy>(&object)) {
      picture.unreadable.erase(policy->full_name());
      picture.policies[policy->full_name()] = *policy;
    } else if (auto* pod = std::get_if<model::PodView>(&object)) {
      picture.pods[pod->namespace_ + "/" + pod->name] = *pod;
    } else if (auto* space = std::get_if<model::NamespaceView>(&object)) {
      picture.spaces.insert(space->name);
    } else if (auto* service = std::get_if<model::ServiceView>(&object)) {
      picture.services.insert(service->name);
    } else {
      picture.slices.insert(std::get<model::EndpointSliceView>(object).service);
    }
  }
  fakes::Seen<Picture> picture_;
};

struct Rig {
  FakeApiServer server;
  Recorder sink;
  ClusterWatcher watcher;
  explicit Rig(int page_size = 100, Carrier carrier = Carrier::kPlain)
      : server(carrier), watcher(server.config(), kClock, {.page_size = page_size, .backoff = fakes::kNoPatience}, sink) {}
  ~Rig() { watcher.stop(); }
  void policy(const std::string& name, const Json& spec = {{"podSelector", Json::object()}}) {
    server.create("networkpolicies", "default", {{"metadata", {{"name", name}, {"namespace", "default"}}}, {"spec", spec}});
  }
  bool watches(int count) {
    return server.wait_for([&](const auto&, int open) { return open == count; });
  }
};

}  // namespace

TEST_CASE("without a policy nothing but policies is watched") {
  Rig rig;
  rig.server.create("pods", "default", fakes::pod_json("a"));
  REQUIRE(rig.watcher.start());
  REQUIRE(rig.sink.wait([](const Picture& seen) { return seen.listed == std::set{ClusterKind::kPolicies}; }));
  REQUIRE(rig.watches(1));
  for (const auto& call : rig.server.calls()) CHECK_THAT(call.path, ContainsSubstring("networkpolicies"));
}

TEST_CASE("the first policy brings the rest, the last one takes it away") {
  Rig rig(2, GENERATE(Carrier::kPlain, Carrier::kTls));
  for (int i = 0; i < 5; ++i) rig.server.create("pods", "other", fakes::pod_json("p" + std::to_string(i), "n9", "other"));
  rig.server.create("namespaces", "", {{"metadata", {{"name", "other"}, {"labels", {{"x", "y"}}}}}});
  rig.server.create("services", "other", {{"metadata", {{"name", "svc"}, {"namespace", "other"}}}, {"spec", {{"clusterIP", "10.96.0.1"}}}});
  rig.server.create("endpointslices", "other",
                    {{"metadata", {{"name", "svc-1"}, {"namespace", "other"}, {"labels", {{"kubernetes.io/service-name", "svc"}}}}},
                     {"addressType", "IPv4"}});
  REQUIRE(rig.watcher.start());
  REQUIRE(rig.watches(1));
  rig.policy("first");
  REQUIRE(rig.watches(5));
  REQUIRE(rig.sink.wait([](const Picture& seen) {
    return seen.listed.size() == 5 && seen.pods.size() == 5 && seen.spaces.contains("other") && seen.services.contains("svc") &&
           seen.slices.contains("svc");
  }));
  rig.server.create("pods", "other", fakes::pod_json("late", "n9", "other"));
  rig.server.remove("pods", "other", "p0");
  CHECK(rig.sink.wait([](const Picture& seen) { return seen.pods.contains("other/late") && !seen.pods.contains("other/p0"); }));

  rig.policy("second");
  rig.server.remove("networkpolicies", "default", "first");
  CHECK(rig.sink.wait([](const Picture& seen) { return seen.policies.size() == 1; }));
  CHECK(rig.watcher.watched_kinds() == 5);
  rig.server.remove("networkpolicies", "default", "second");
  CHECK(rig.sink.wait([](const Picture& seen) { return seen.unwatched == 1 && seen.pods.empty(); }));
  CHECK(rig.watches(1));
  CHECK(rig.watcher.watched_kinds() == 1);
  rig.policy("again");
  CHECK(rig.watches(5));
}

TEST_CASE("a policy that can't be read is told with what is known of it, and counts as one") {
  Rig rig;
  rig.policy("bad", {{"podSelector", {{"matchLabels", {{"a", "b"}}}}}, {"ingress", "everything"}});
  REQUIRE(rig.watcher.start());
  REQUIRE(rig.watches(5));
  REQUIRE(rig.sink.wait([](const Picture& seen) { return seen.unreadable.contains("default/bad"); }));
  CHECK(rig.sink.wait([](const Picture& seen) {
    const auto& bad = seen.unreadable.at("default/bad");
    return bad.closed.isolates_ingress && bad.closed.pods.match_labels.contains("a") && bad.error.find("spec.ingress") != std::string::npos;
  }));
  rig.server.patch("networkpolicies", "default", "bad", {{"spec", {{"ingress", Json::array()}}}});
  CHECK(rig.sink.wait([](const Picture& seen) { return seen.unreadable.empty() && seen.policies.contains("default/bad"); }));
  rig.server.patch("networkpolicies", "default", "bad", {{"spec", {{"ingress", 7}}}});
  CHECK(rig.sink.wait([](const Picture& seen) { return seen.unreadable.contains("default/bad"); }));
}

TEST_CASE("a refusal is told and cleared; 410 lists again") {
  Rig rig;
  rig.server.fail_next({.path_contains = "networkpolicies", .status = 403, .reason = "Forbidden"});
  REQUIRE(rig.watcher.start());
  REQUIRE(rig.watches(1));
  CHECK(rig.sink.wait([](const Picture& seen) { return seen.troubles.empty() && seen.listed.contains(ClusterKind::kPolicies); }));
  rig.server.expire_watches();
  rig.policy("after");
  CHECK(rig.sink.wait([](const Picture& seen) { return seen.policies.contains("default/after"); }));
}

TEST_CASE("what has no readable name is left out and told, and keeps nothing else from being known") {
  Rig rig;
  const auto bad = [&](const char* resource, const char* kind, const Json& good) {
    const Json items = {7, {{"metadata", {{"namespace", "other"}}}}, {{"metadata", {{"name", Json::array()}}}}, good};
    rig.server.fail_next({.kind = fakes::ApiFault::Kind::kBody, .path_contains = resource, .body = fakes::list_json(kind, items)});
  };
  const auto named = [](const char* name) -> Json {
    return {{"metadata", {{"name", name}, {"namespace", "other"}}}, {"spec", Json::object()}};
  };
  bad("/namespaces", "Namespace", {{"metadata", {{"name", "other"}}}});
  bad("/pods", "Pod", fakes::pod_json("good", "n9", "other"));
  bad("/services", "Service", named("svc"));
  bad("/endpointslices", "EndpointSlice",
      {{"metadata", {{"name", "svc-1"}, {"namespace", "other"}, {"labels", {{"kubernetes.io/service-name", "svc"}}}}},
       {"addressType", "IPv4"}});
  rig.policy("first");
  REQUIRE(rig.watcher.start());
  REQUIRE(rig.watches(5));
  CHECK(rig.sink.wait([](const Picture& seen) {
    return seen.listed.size() == 5 && seen.pods.contains("other/good") && seen.spaces.contains("other") && seen.services.contains("svc") &&
           seen.slices.contains("svc") && seen.troubles.size() == 4;
  }));
  CHECK(rig.sink.wait([](const Picture& seen) {
    return std::ranges::all_of(seen.troubles, [](const auto& one) { return one.second.find("metadata") != std::string::npos; });
  }));
}

TEST_CASE("a policy without a readable name closes what it can be seen to close") {
  Rig rig;
  const Json items = {{{"metadata", {{"name", 7}, {"namespace", "shop"}}}, {"spec", {{"podSelector", {{"matchLabels", {{"a", "b"}}}}}}}},
                      {{"metadata", {{"name", "good"}, {"namespace", "shop"}}}, {"spec", {{"podSelector", Json::object()}}}}};
  rig.server.fail_next(
      {.kind = fakes::ApiFault::Kind::kBody, .path_contains = "networkpolicies", .body = fakes::list_json("NetworkPolicy", items)});
  REQUIRE(rig.watcher.start());
  CHECK(rig.sink.wait([](const Picture& seen) { return seen.policies.contains("shop/good") && seen.unreadable.contains("shop/"); }));
  CHECK(rig.sink.wait([](const Picture& seen) { return seen.unreadable.at("shop/").closed.pods.match_labels.contains("a"); }));
}
