// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/service_watcher.h"

#include <functional>
#include <set>
#include <thread>

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

Json service(const std::string& space, const std::string& name, const Json& address) {
  return {{"apiVersion", "v1"},
          {"kind", "Service"},
          {"metadata", {{"name", name}, {"namespace", space}}},
          {"spec", {{"clusterIP", address}, {"ports", {{{"name", "http"}, {"port", 80}}}}}}};
}

struct World {
  explicit World(Carrier carrier = Carrier::kPlain) : server(carrier) {}
  FakeApiServer server;
  fakes::Seen<std::vector<std::string>> troubles;
  ServiceWatcher watcher{server.config(), kClock, {.page_size = 2, .backoff = fakes::kNoPatience}, [this](const std::string& error) {
                           troubles.change([&](auto& all) { all.push_back(error); });
                         }};

  ~World() { watcher.stop(); }
  bool told(const std::function<bool(const std::string&)>& wanted) {
    return troubles.wait([&](const auto& all) { return !all.empty() && wanted(all.back()); });
  }
  std::vector<std::string> names(const std::string& space) {
    const auto found = watcher.of_pod(space, std::chrono::seconds(10), {});
    REQUIRE(found);
    std::vector<std::string> out;
    for (const auto& one : *found) out.push_back(one.namespace_ + "/" + one.name);
    return out;
  }
  bool comes_to(const std::string& space, const std::vector<std::string>& wanted) {
    const SteadyTime end = kClock.steady() + std::chrono::seconds(10);
    while (names(space) != wanted) {
      if (kClock.steady() > end) return false;
      std::this_thread::yield();
    }
    return true;
  }
};

}  // namespace

TEST_CASE("rows 13.3, 13.4: a namespace's services and default/kubernetes, as they come and go") {
  World w(GENERATE(Carrier::kPlain, Carrier::kTls));
  w.server.create("services", "default", service("default", "kubernetes", "10.96.0.1"));
  w.server.create("services", "default", service("default", "other", "10.96.0.2"));
  w.server.create("services", "shop", service("shop", "cart", "10.96.0.3"));
  REQUIRE(w.watcher.start());
  CHECK(w.names("shop") == std::vector<std::string>{"shop/cart", "default/kubernetes"});
  CHECK(w.names("default") == std::vector<std::string>{"default/kubernetes", "default/other"});
  CHECK(w.names("empty") == std::vector<std::string>{"default/kubernetes"});
  w.server.wait_for([](const auto&, int watches) { return watches == 1; });
  w.server.create("services", "shop", service("shop", "bill", "10.96.0.4"));
  CHECK(w.comes_to("shop", {"shop/bill", "shop/cart", "default/kubernetes"}));
  w.server.remove("services", "shop", "cart");
  CHECK(w.comes_to("shop", {"shop/bill", "default/kubernetes"}));
}

TEST_CASE("row 13.4: until services were read once nobody is told of any; why, and then they are") {
  World w(GENERATE(Carrier::kPlain, Carrier::kTls));
  const auto early = w.watcher.of_pod("shop", Duration(), {});
  REQUIRE_FALSE(early);
  CHECK(early.error().code == Code::kUnavailable);
  CHECK(early.error().message().find("not yet been read") != std::string::npos);

  std::stop_source given_up;
  given_up.request_stop();
  CHECK(w.watcher.of_pod("shop", std::chrono::hours(1), given_up.get_token()).error().code == Code::kCancelled);

  w.server.create("services", "shop", service("shop", "cart", "10.96.0.3"));
  w.server.fail_next({.kind = ApiFault::Kind::kStatus, .path_contains = "services", .status = 403, .reason = "Forbidden"});
  REQUIRE(w.watcher.start());
  CHECK(w.told([](const std::string& error) { return error.find("403") != std::string::npos || error.empty(); }));
  CHECK(w.names("shop") == std::vector<std::string>{"shop/cart"});  // waits for the list
  CHECK(w.told([](const std::string& error) { return error.empty(); }));
}

TEST_CASE("a service that can't be read is told until it can, and hides no other") {
  World w;
  w.server.create("services", "shop", service("shop", "bad", 7));
  w.server.create("services", "shop", service("shop", "cart", "10.96.0.3"));
  REQUIRE(w.watcher.start());
  CHECK(w.names("shop") == std::vector<std::string>{"shop/cart"});
  CHECK(w.told([](const std::string& error) { return error.find("shop/bad") != std::string::npos; }));
  w.server.wait_for([](const auto&, int watches) { return watches == 1; });
  w.server.patch("services", "shop", "bad", {{"spec", {{"clusterIP", "10.96.0.9"}}}});
  CHECK(w.comes_to("shop", {"shop/bad", "shop/cart"}));
  CHECK(w.told([](const std::string& error) { return error.empty(); }));
}

TEST_CASE("services without a readable name are left out and told, each once, and keep nothing else from being read") {
  World w;
  const Json list = {7,
                     {{"metadata", {{"namespace", "shop"}}}, {"spec", {{"clusterIP", "10.96.0.1"}}}},
                     {{"metadata", {{"name", 7}, {"namespace", "shop"}}}},
                     service("shop", "bad", 7),
                     service("shop", "cart", "10.96.0.3")};
  w.server.fail_next({.kind = ApiFault::Kind::kBody, .path_contains = "services", .body = fakes::list_json("Service", list)});
  REQUIRE(w.watcher.start());
  CHECK(w.names("shop") == std::vector<std::string>{"shop/cart"});
  CHECK(w.told([](const std::string& error) {
    return error.find("items[0]: metadata: expected a mapping") != std::string::npos &&
           error.find("items[1]: metadata.name: expected text (namespace 'shop')") != std::string::npos &&
           error.find("items[2]: metadata.name") != std::string::npos && error.find("'shop/bad'") != std::string::npos;
  }));
  CHECK(w.server.wait_for([](const auto& calls, int watches) { return watches == 1 && calls.size() == 2; }));
  w.server.inject_line(R"({"type":"ADDED","object":{"metadata":{"resourceVersion":"101","name":8}}})");
  w.server.create("services", "shop", service("shop", "bill", "10.96.0.4"));
  CHECK(w.comes_to("shop", {"shop/bill", "shop/cart"}));
  CHECK(w.told([](const std::string& error) { return error.find("the watch: metadata.name") != std::string::npos; }));
  CHECK(w.troubles.now().size() == 2);
}

namespace {

// What a follower knows of services by what it was told.
struct Follower final : ports::ClusterSink {
  struct Told {
    std::set<std::string> services, unreadable;
  };
  fakes::Seen<Told> told;
  void deliver(ports::ClusterChange change) override {
    told.change([&](Told& all) {
      if (auto* set = std::get_if<ports::ClusterSet>(&change)) {
        all.services.clear();
        for (const auto& one : set->objects) all.services.insert(std::get<model::ServiceView>(one).name);
        for (const auto& one : set->unreadable) all.unreadable.insert(one.name);
      } else if (auto* one = std::get_if<ports::ClusterUpsert>(&change)) {
        all.services.insert(std::get<model::ServiceView>(one->object).name);
      } else if (auto* gone = std::get_if<ports::ClusterGone>(&change)) {
        all.services.erase(gone->name);
      } else if (auto* bad = std::get_if<ports::ClusterUnreadable>(&change)) {
        all.unreadable.insert(bad->name);
      }
    });
  }
  bool comes_to(const std::set<std::string>& wanted) {
    return told.wait([&](const Told& all) { return all.services == wanted; });
  }
};

}  // namespace

TEST_CASE("a follower is told of what is known and of every change, until it follows no more") {
  World w;
  Follower follower;
  w.server.create("services", "shop", service("shop", "cart", "10.96.0.3"));
  w.server.create("services", "shop", service("shop", "bad", 7));
  SECTION("before anything is known") { w.watcher.follow(&follower); }
  SECTION("afterwards") {}
  REQUIRE(w.watcher.start());
  CHECK(w.names("shop") == std::vector<std::string>{"shop/cart"});
  w.server.wait_for([](const auto&, int watches) { return watches == 1; });
  w.watcher.follow(&follower);
  CHECK(follower.comes_to({"cart"}));
  CHECK(follower.told.now().unreadable == std::set<std::string>{"bad"});
  w.server.create("services", "shop", service("shop", "bill", "10.96.0.4"));
  CHECK(follower.comes_to({"bill", "cart"}));
  w.server.remove("services", "shop", "cart");
  CHECK(follower.comes_to({"bill"}));
  w.watcher.follow(nullptr);
  w.server.remove("services", "shop", "bill");
  CHECK(w.comes_to("shop", {}));
  CHECK(follower.told.now().services == std::set<std::string>{"bill"});
}

TEST_CASE("with policies and variables there is one watch of services, and the policies have them all the same") {
  World w;
  Follower follower;
  w.server.create("services", "shop", service("shop", "cart", "10.96.0.3"));
  w.server.create("networkpolicies", "shop",
                  {{"metadata", {{"name", "p"}, {"namespace", "shop"}}}, {"spec", {{"podSelector", Json::object()}}}});
  struct Services final : ports::ClusterSink {
    explicit Services(Follower& to) : follower(to) {}
    Follower& follower;
    void deliver(ports::ClusterChange change) override {
      if (const auto* set = std::get_if<ports::ClusterSet>(&change); set != nullptr && set->kind != ports::ClusterKind::kServices) return;
      if (const auto* one = std::get_if<ports::ClusterUpsert>(&change); one != nullptr && !std::get_if<model::ServiceView>(&one->object))
        return;
      follower.deliver(std::move(change));
    }
  } sink(follower);
  ClusterWatcher policies(w.server.config(), kClock, {.page_size = 10, .backoff = fakes::kNoPatience}, sink);
  policies.share(w.watcher);
  REQUIRE(w.watcher.start());
  REQUIRE(policies.start());
  CHECK(follower.comes_to({"cart"}));
  CHECK(w.server.wait_for([](const auto&, int watches) { return watches == 5; }));
  w.server.create("services", "shop", service("shop", "bill", "10.96.0.4"));
  CHECK(follower.comes_to({"bill", "cart"}));
  int lists = 0;
  for (const auto& call : w.server.calls())
    if (call.path == "/api/v1/services" && call.query.find("watch=true") == std::string::npos) ++lists;
  CHECK(lists == 1);
  w.server.remove("networkpolicies", "shop", "p");
  CHECK(w.server.wait_for([](const auto&, int watches) { return watches == 2; }));  // of policies, and of services
  w.server.create("services", "shop", service("shop", "more", "10.96.0.5"));
  CHECK(w.comes_to("shop", {"shop/bill", "shop/cart", "shop/more"}));
  policies.stop();
  CHECK_FALSE(follower.told.now().services.contains("more"));
}
