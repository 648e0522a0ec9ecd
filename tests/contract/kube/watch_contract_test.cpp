// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What our watchers may rely on, of any API server, over TLS: an object is told as it is, with each change, and at its end.
#include <catch2/catch_test_macros.hpp>

#include <functional>
#include <map>
#include <set>

#include "fakes/kube/seen.h"
#include "kube/all_objects_watcher.h"
#include "kube/node_watcher.h"
#include "kube/object_watcher.h"
#include "kube/program_watcher.h"
#include "kube/service_watcher.h"
#include "rig.h"

using namespace pintle;
using namespace pintle::kube;
using contract::fresh;
using contract::kClock;
using contract::Rig;
using fakes::Json;
using ports::ConfigKey;
using ports::ConfigKind;

namespace {

const std::string kSpace = "/api/v1/namespaces/default/";

Json of_kind(const std::string& kind, const std::string& name, Json more = Json::object()) {
  more.update({{"apiVersion", "v1"}, {"kind", kind}});
  more["metadata"]["name"] = name;
  return more;
}
Json coloured(const std::string& kind, const std::string& name, const std::string& colour) {
  return of_kind(kind, name, {{"data", {{"colour", colour}}}});
}
void recolour(Rig& rig, const std::string& path, const std::string& colour) {
  auto done = rig.connection->request({.method = "PATCH",
                                       .path = path,
                                       .body = Json{{"data", {{"colour", colour}}}}.dump(),
                                       .content_type = std::string(kStrategicMergePatch)},
                                      {});
  if (!done) FAIL(done.error().message());
}

// Of each object its colour, or "changed" or "lost".
struct Colours final : ports::ObjectSink {
  fakes::Seen<std::map<ConfigKey, std::string>> told;
  void note(const ConfigKey& key, const std::string& what) {
    told.change([&](auto& all) { all[key] = what; });
  }
  void seen(const ConfigKey& key, ports::ConfigObject object) override {
    note(key, std::visit([](auto& one) { return one.data["colour"]; }, object));
  }
  void changed(const ConfigKey& key) override { note(key, "changed"); }
  void lost(const ConfigKey& key) override { note(key, "lost"); }
  void resumed(const ConfigKey& key) override { note(key, "resumed"); }
  bool comes_to(const ConfigKey& key, const std::string& wanted) {
    return told.wait([&](const auto& all) { return all.contains(key) && all.at(key) == wanted; });
  }
};

struct Programs final : ports::PodProgramSink {
  fakes::Seen<std::set<std::string>> origins;
  void put(ports::PodProgramFile file) override {
    origins.change([&](auto& all) { all.insert(file.origin); });
  }
  void gone(const std::string& origin) override {
    origins.change([&](auto& all) { all.erase(origin); });
  }
  void synced(const std::string&) override {}
  void trouble(const std::string&, const std::string&) override {}
  bool comes_to(const std::string& origin, bool there) {
    return origins.wait([&](const auto& all) { return all.contains(origin) == there; });
  }
};

// A ConfigMap and a Secret through their lives, over whichever feed.
template <typename Watcher>
void follow_two(Rig& rig, Watcher& watcher, Colours& sink, const std::string& name) {
  const ConfigKey map{ConfigKind::kConfigMap, "default", name}, secret{ConfigKind::kSecret, "default", name};
  rig.call("POST", kSpace + "configmaps", coloured("ConfigMap", name, "blue"));
  rig.call("POST", kSpace + "secrets", coloured("Secret", name, "cmVk"));
  watcher.watch({map, secret});
  REQUIRE(watcher.start());
  CHECK(sink.comes_to(map, "blue"));
  CHECK(sink.comes_to(secret, "red"));
  recolour(rig, kSpace + "configmaps/" + name, "green");
  CHECK(sink.comes_to(map, "green"));
  recolour(rig, kSpace + "secrets/" + name, "Z3JleQ==");
  CHECK(sink.comes_to(secret, "grey"));
  rig.call("DELETE", kSpace + "configmaps/" + name);
  CHECK(sink.comes_to(map, "changed"));
  rig.call("POST", kSpace + "configmaps", coloured("ConfigMap", name, "white"));
  CHECK(sink.comes_to(map, "white"));
  watcher.stop();
}

}  // namespace

TEST_CASE("objects are watched by their names") {
  Rig rig;
  REQUIRE(rig.config.tls);
  Colours sink;
  ObjectWatcher watcher(rig.config, kClock, {}, sink);
  follow_two(rig, watcher, sink, fresh("one"));
}

TEST_CASE("objects are watched with all others of their kind") {
  Rig rig;
  Colours sink;
  AllObjectsWatcher watcher(rig.config, kClock, {.page_size = 2}, sink);
  follow_two(rig, watcher, sink, fresh("all"));
}

TEST_CASE("a list's later pages are of the first one's version, so that a watch from there misses nothing") {
  Rig rig;
  for (const char* stem : {"page", "page"}) rig.call("POST", kSpace + "configmaps", coloured("ConfigMap", fresh(stem), "blue"));
  const auto first = rig.call("GET", kSpace + "configmaps?limit=1")["metadata"];
  REQUIRE(!first["continue"].get<std::string>().empty());
  rig.call("POST", kSpace + "configmaps", coloured("ConfigMap", fresh("page"), "green"));
  const auto second = rig.call("GET", kSpace + "configmaps?limit=1&continue=" + percent_encode(first["continue"].get<std::string>()));
  CHECK(second["metadata"]["resourceVersion"] == first["resourceVersion"]);
}

TEST_CASE("programs are watched by the label of their ConfigMap") {
  Rig rig;
  Programs programs;
  const std::string name = fresh("program"), other = fresh("program");
  const Json labelled = {{"metadata", {{"labels", {{"pintle.dev/pod-program", "true"}}}}}, {"data", {{"a.yaml", ""}}}};
  rig.call("POST", kSpace + "configmaps", of_kind("ConfigMap", other, {{"data", {{"a.yaml", ""}}}}));
  rig.call("POST", kSpace + "configmaps", of_kind("ConfigMap", name, labelled));
  ProgramWatcher watcher(rig.config, kClock, {.namespace_ = "default"}, programs);
  REQUIRE(watcher.start());
  CHECK(programs.comes_to("configmap default/" + name, true));
  const std::string late = fresh("program");
  rig.call("POST", kSpace + "configmaps", of_kind("ConfigMap", late, labelled));
  CHECK(programs.comes_to("configmap default/" + late, true));
  rig.call("DELETE", kSpace + "configmaps/" + name);
  CHECK(programs.comes_to("configmap default/" + name, false));
  CHECK_FALSE(programs.origins.now().contains("configmap default/" + other));
  watcher.stop();
}

TEST_CASE("services are watched, and known of a pod's namespace") {
  Rig rig;
  const std::string name = fresh("svc");
  ServiceWatcher watcher(rig.config, kClock, {}, [](const std::string&) {});
  struct Names final : ports::ClusterSink {
    fakes::Seen<std::set<std::string>> told;
    void deliver(ports::ClusterChange change) override {
      if (const auto* one = std::get_if<ports::ClusterUpsert>(&change))
        told.change([&](auto& all) { all.insert(std::get<model::ServiceView>(one->object).name); });
      if (const auto* gone = std::get_if<ports::ClusterGone>(&change)) told.change([&](auto& all) { all.erase(gone->name); });
    }
  } names;
  watcher.follow(&names);
  REQUIRE(watcher.start());
  REQUIRE(watcher.of_pod("default", std::chrono::seconds(10), {}));
  rig.call("POST", kSpace + "services", of_kind("Service", name, {{"spec", {{"ports", {{{"port", 80}}}}}}}));
  CHECK(names.told.wait([&](const auto& all) { return all.contains(name); }));
  const auto known = watcher.of_pod("default", {}, {});
  REQUIRE(known);
  CHECK(std::ranges::any_of(*known, [&](const auto& one) { return one.name == name; }));
  rig.call("DELETE", kSpace + "services/" + name);
  CHECK(names.told.wait([&](const auto& all) { return !all.contains(name); }));
  watcher.stop();
}

TEST_CASE("the own node is watched, and no other") {
  Rig rig;
  const std::string name = fresh("node");
  fakes::Seen<std::vector<std::string>> told;
  NodeWatcher watcher(rig.config, kClock, {.node_name = name},
                      {.node =
                           [&](const model::Node& node) {
                             told.change([&](auto& all) {
                               const auto set = node.metadata.labels.find("set");
                               all.push_back(node.metadata.name + "=" + (set == node.metadata.labels.end() ? "" : set->second));
                             });
                           },
                       .trouble = [](const std::string&) {}});
  rig.call("POST", "/api/v1/nodes", of_kind("Node", fresh("other")));
  rig.call("POST", "/api/v1/nodes", of_kind("Node", name));
  REQUIRE(watcher.start());
  CHECK(told.wait([&](const auto& all) { return !all.empty() && all.back() == name + "="; }));
  REQUIRE(rig.connection->request({.method = "PATCH",
                                   .path = "/api/v1/nodes/" + name,
                                   .body = R"({"metadata":{"labels":{"set":"next"}}})",
                                   .content_type = std::string(kStrategicMergePatch)},
                                  {}));
  CHECK(told.wait([&](const auto& all) { return all.back() == name + "=next"; }));
  for (const auto& one : told.now()) CHECK(one.starts_with(name + "="));
  watcher.stop();
}
