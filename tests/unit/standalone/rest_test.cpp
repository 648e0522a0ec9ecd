// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/rest.h"

#include <catch2/catch_test_macros.hpp>

#include "fakes/store/fake_object_log.h"
#include "manual_clock.h"

namespace pintle::standalone {
namespace {

struct Fixture {
  fakes::FakeObjectLog log;
  ManualClock clock;
  ObjectStore store{log};
  Rest rest{store, clock, "n1"};
  Fixture() {
    REQUIRE(store.load());
    REQUIRE(rest.ensure_base_objects());
  }
  static ObjectPath pods(const std::string& name = "", const std::string& sub = "") { return {&resources::kPods, "default", name, sub}; }
  Json create_pod(const char* text = R"({"metadata":{"name":"web"},"spec":{"containers":[{"name":"c","image":"busybox"}]}})") {
    const auto made = rest.create(pods(), Json::parse(text), {});
    REQUIRE(made);
    return Json::parse((*made)->json.text());
  }
  Json pod(const std::string& name = "web") { return Json::parse(rest.get(pods(name)).value()->json.text()); }
  ApiResult<VersionPtr> patch(const ObjectPath& path, const char* text) {
    return rest.patch(path, "application/strategic-merge-patch+json", Json::parse(text), {});
  }
};

}  // namespace

TEST_CASE("a new pod is completed, bound to the node and Pending") {
  Fixture f;
  const Json pod =
      f.create_pod(R"({"metadata":{"name":"web","resourceVersion":"7","uid":"x"},"unknown":{"kept":1},"status":{"phase":"Running"},
    "spec":{"containers":[{"name":"c","image":"busybox","futureField":true,"resources":{"limits":{"cpu":"1"}}}]}})");
  CHECK(pod["kind"] == "Pod");
  CHECK(pod["metadata"]["uid"].get<std::string>().size() == 36);
  CHECK(pod["metadata"]["creationTimestamp"] == "2026-01-02T12:00:00Z");
  CHECK(pod["metadata"]["generation"] == 1);
  CHECK(pod["spec"]["nodeName"] == "n1");
  CHECK(pod["spec"]["restartPolicy"] == "Always");
  CHECK(pod["spec"]["terminationGracePeriodSeconds"] == 30);
  CHECK(pod["spec"]["containers"][0]["imagePullPolicy"] == "Always");
  CHECK(pod["spec"]["containers"][0]["resources"]["requests"]["cpu"] == "1");
  CHECK(pod["spec"]["containers"][0]["futureField"] == true);
  CHECK(pod["unknown"]["kept"] == 1);
  CHECK(pod["status"]["phase"] == "Pending");
  CHECK(pod["status"]["qosClass"] == "Burstable");
  CHECK(pod["status"]["conditions"][0]["type"] == "PodScheduled");
}

TEST_CASE("a pod of another node is left to it") {
  Fixture f;
  const Json pod =
      f.create_pod(R"({"metadata":{"generateName":"web-"},"spec":{"nodeName":"n2","containers":[{"name":"c","image":"busybox:1"}]}})");
  CHECK(pod["spec"]["nodeName"] == "n2");
  CHECK_FALSE(pod["status"].contains("conditions"));
  CHECK(pod["metadata"]["name"].get<std::string>().size() == 9);
  CHECK(pod["spec"]["containers"][0]["imagePullPolicy"] == "IfNotPresent");
}

TEST_CASE("bad objects are refused with the code and cause that clients act on") {
  Fixture f;
  const auto code = [&](const ObjectPath& path, const char* text, WriteOptions options = {}) {
    const auto made = f.rest.create(path, Json::parse(text), options);
    return made ? 201 : made.error().code;
  };
  CHECK(code(f.pods(), R"({"metadata":{"name":"Web"},"spec":{"containers":[{"name":"c","image":"x"}]}})") == 422);
  CHECK(code(f.pods(), R"({"spec":{"containers":[{"name":"c","image":"x"}]}})") == 422);
  CHECK(code(f.pods(), R"({"metadata":{"name":"w"},"spec":{"containers":[]}})") == 422);
  CHECK(code(f.pods(), R"({"metadata":{"name":"w"},"spec":{"containers":"c"}})") == 400);
  CHECK(code(f.pods(), R"({"metadata":{"name":"w","labels":{"a":1}},"spec":{"containers":[{"name":"c","image":"x"}]}})") == 400);
  CHECK(code(f.pods(), R"({"kind":"Secret","metadata":{"name":"w"}})") == 400);
  CHECK(code(f.pods(), R"([])") == 400);
  CHECK(code(f.pods(), R"({"metadata":{"name":"w","namespace":"other"},"spec":{"containers":[{"name":"c","image":"x"}]}})") == 400);
  CHECK(code({&resources::kConfigMaps, "nope", "", ""}, R"({"metadata":{"name":"w"}})") == 404);
  CHECK(code(f.pods(), R"({"metadata":{"name":"w"},"spec":{"containers":[{"name":"c","image":"x","imag":"y"}]}})", {.strict = true}) ==
        400);
  CHECK(code(f.pods(), R"({"metadata":{"name":"w"},"spec":{"containers":[{"name":"c","image":"x"}]}})", {.dry_run = true}) == 201);
  CHECK(f.rest.get(f.pods("w")).error().code == 404);
}

TEST_CASE("of a pod's spec only a few fields may change, and then the generation rises") {
  Fixture f;
  f.create_pod();
  REQUIRE(f.patch(f.pods("web"), R"({"spec":{"containers":[{"name":"c","image":"busybox:2"}]}})"));
  CHECK(f.pod()["metadata"]["generation"] == 2);
  REQUIRE(f.patch(f.pods("web"), R"({"spec":{"tolerations":[{"key":"a","operator":"Exists"}],"activeDeadlineSeconds":60}})"));
  CHECK(f.pod()["metadata"]["generation"] == 3);
  REQUIRE(f.patch(f.pods("web"), R"({"metadata":{"labels":{"a":"b"}}})"));
  CHECK(f.pod()["metadata"]["generation"] == 3);
  for (const char* bad : {R"({"spec":{"restartPolicy":"Never"}})", R"({"spec":{"containers":[{"name":"c","command":["x"]}]}})",
                          R"({"spec":{"tolerations":[]}})", R"({"spec":{"activeDeadlineSeconds":61}})", R"({"spec":{"nodeName":"n2"}})",
                          R"({"spec":{"volumes":[{"name":"v"}]}})"}) {
    INFO(bad);
    CHECK(f.patch(f.pods("web"), bad).error().code == 422);
  }
}

TEST_CASE("status changes only through its subresource, and through it nothing else") {
  Fixture f;
  f.create_pod();
  REQUIRE(f.patch(f.pods("web"), R"({"status":{"phase":"Running"}})"));
  CHECK(f.pod()["status"]["phase"] == "Pending");
  const auto uid = f.pod()["metadata"]["uid"].get<std::string>();
  REQUIRE(f.patch(
      f.pods("web", "status"),
      (R"({"metadata":{"uid":")" + uid + R"(","labels":{"x":"y"}},"spec":{"nodeName":"z"},"status":{"phase":"Running"}})").c_str()));
  const Json pod = f.pod();
  CHECK(pod["status"]["phase"] == "Running");
  CHECK(pod["status"]["conditions"].size() == 1);
  CHECK(pod["spec"]["nodeName"] == "n1");
  CHECK_FALSE(pod["metadata"].contains("labels"));
  CHECK(f.patch(f.pods("web", "status"), R"({"metadata":{"uid":"another"},"status":{}})").error().code == 409);
}

TEST_CASE("a change that changes nothing is no change") {
  Fixture f;
  f.create_pod();
  const auto before = f.store.version();
  REQUIRE(f.patch(f.pods("web"), R"({"metadata":{"labels":{}}})"));
  const auto after_labels = f.store.version();
  REQUIRE(f.patch(f.pods("web", "status"), R"({"status":{"phase":"Pending"}})"));
  CHECK(f.store.version() == after_labels);
  CHECK(after_labels <= before + 1);
}

TEST_CASE("the trace of a request stays on the pod that it makes or changes, and on nothing else") {
  Fixture f;
  const std::string one = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                    two = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01";
  const auto kept = [&](const char* name = "web") { return text_at(f.pod(name), "metadata", "annotations", "pintle.dev/traceparent"); };
  const char* const web = R"({"metadata":{"name":"web"},"spec":{"containers":[{"name":"c","image":"busybox"}]}})";
  REQUIRE(f.rest.create(Fixture::pods(), Json::parse(web), {.traceparent = one}));
  CHECK(kept() == one);

  const auto patch = [&](const ObjectPath& path, const char* text) {
    const auto done = f.rest.patch(path, "application/strategic-merge-patch+json", Json::parse(text), {.traceparent = two});
    REQUIRE(done);
  };
  const auto version = f.pod()["metadata"]["resourceVersion"];
  patch(Fixture::pods("web"), web);
  CHECK(f.pod()["metadata"]["resourceVersion"] == version);  // what changes nothing is no change
  CHECK(kept() == one);
  patch(Fixture::pods("web", "status"), R"({"status":{"phase":"Running"}})");
  CHECK(kept() == one);
  patch(Fixture::pods("web"), R"({"metadata":{"labels":{"a":"b"}}})");
  CHECK(kept() == two);
  patch(Fixture::pods("web"), R"({"metadata":{"annotations":{"pintle.dev/traceparent":"mine"}}})");
  CHECK(kept() == "mine");  // who writes it means it

  REQUIRE(f.rest.create(Fixture::pods(), Json::parse(R"({"metadata":{"name":"own","annotations":{"pintle.dev/traceparent":"mine"}},
    "spec":{"containers":[{"name":"c","image":"busybox"}]}})"),
                        {.traceparent = one}));
  CHECK(kept("own") == "mine");
  const ObjectPath maps{&resources::kConfigMaps, "default", "", ""};
  const auto map = f.rest.create(maps, Json::parse(R"({"metadata":{"name":"m"}})"), {.traceparent = one});
  REQUIRE(map);
  CHECK((*map)->json.text().find("traceparent") == std::string::npos);
}

TEST_CASE("the context of the request that deletes a pod is kept on it, beside that of the one that made it") {
  Fixture f;
  const std::string made = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
                    other = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  const auto kept = [&](const char* name) { return text_at(f.pod(name), "metadata", "annotations", "pintle.dev/stop-traceparent"); };
  const auto create = [&](const char* name) {
    Json pod = Json::parse(R"({"metadata":{},"spec":{"containers":[{"name":"c","image":"busybox"}]}})");
    pod["metadata"]["name"] = name;
    REQUIRE(f.rest.create(Fixture::pods(), std::move(pod), {.traceparent = made}));
  };
  create("web");
  CHECK(kept("web").empty());
  REQUIRE(f.rest.remove(f.pods("web"), {.dry_run = true, .traceparent = made}));
  CHECK(kept("web").empty());
  REQUIRE(f.rest.remove(f.pods("web"), {.traceparent = made}));  // the very context that made it
  CHECK(kept("web") == made);
  CHECK(text_at(f.pod("web"), "metadata", "annotations", "pintle.dev/traceparent") == made);
  REQUIRE(f.rest.remove(f.pods("web"), {.grace_seconds = 60, .traceparent = other}));  // changes nothing
  CHECK(kept("web") == made);
  REQUIRE(f.rest.remove(f.pods("web"), {.grace_seconds = 1}));
  CHECK(kept("web") == made);
  REQUIRE(f.rest.remove(f.pods("web"), {.grace_seconds = 0}));

  create("plain");
  REQUIRE(f.rest.remove(f.pods("plain"), {}));
  CHECK(kept("plain").empty());
}

TEST_CASE("who deletes a namespace ends its pods") {
  Fixture f;
  const std::string context = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
  REQUIRE(f.rest.create({&resources::kNamespaces, "", "", ""}, Json::parse(R"({"metadata":{"name":"team"}})"), {}));
  REQUIRE(f.rest.create({&resources::kPods, "team", "", ""},
                        Json::parse(R"({"metadata":{"name":"web"},"spec":{"nodeName":"n","containers":[{"name":"c","image":"busybox"}]}})"),
                        {}));
  REQUIRE(f.rest.remove({&resources::kNamespaces, "", "team", ""}, {.traceparent = context}));
  const auto pod = f.rest.get({&resources::kPods, "team", "web", ""});
  REQUIRE(pod);
  CHECK(text_at(Json::parse((*pod)->json.text()), "metadata", "annotations", "pintle.dev/stop-traceparent") == context);
}

TEST_CASE("an update of an old version is a conflict") {
  Fixture f;
  const Json old = f.create_pod();
  REQUIRE(f.patch(f.pods("web"), R"({"metadata":{"labels":{"a":"b"}}})"));
  CHECK(f.rest.update(f.pods("web"), old, {}).error().code == 409);
  Json now = f.pod();
  now["metadata"]["labels"]["a"] = "c";
  CHECK(f.rest.update(f.pods("web"), now, {}));
}

TEST_CASE("a bound pod is deleted gracefully, and goes when its agent says so") {
  Fixture f;
  f.create_pod();
  auto marked = f.rest.remove(f.pods("web"), {});
  REQUIRE(marked);
  CHECK_FALSE(marked->gone);
  CHECK(f.pod()["metadata"]["deletionTimestamp"] == "2026-01-02T12:00:30Z");
  CHECK(f.pod()["metadata"]["deletionGracePeriodSeconds"] == 30);
  CHECK(f.pod()["metadata"]["generation"] == 2);
  const auto version = f.store.version();
  REQUIRE(f.rest.remove(f.pods("web"), {.grace_seconds = 60}));  // never longer
  CHECK(f.store.version() == version);
  REQUIRE(f.rest.remove(f.pods("web"), {.grace_seconds = 5}));
  CHECK(f.pod()["metadata"]["deletionGracePeriodSeconds"] == 5);
  CHECK(f.rest.remove(f.pods("web"), {.grace_seconds = 0, .uid = "another"}).error().code == 409);
  const auto gone = f.rest.remove(f.pods("web"), {.grace_seconds = 0, .uid = f.pod()["metadata"]["uid"].get<std::string>()});
  REQUIRE(gone);
  CHECK(gone->gone);
  CHECK(f.rest.get(f.pods("web")).error().code == 404);
}

TEST_CASE("a pod that has ended is deleted at once") {
  Fixture f;
  f.create_pod();
  REQUIRE(f.patch(f.pods("web", "status"), R"({"status":{"phase":"Succeeded"}})"));
  CHECK(f.rest.remove(f.pods("web"), {})->gone);
}

TEST_CASE("finalizers hold an object until the last one is taken away") {
  Fixture f;
  const ObjectPath path{&resources::kConfigMaps, "default", "cm", ""};
  REQUIRE(
      f.rest.create({&resources::kConfigMaps, "default", "", ""}, Json::parse(R"({"metadata":{"name":"cm","finalizers":["a/b"]}})"), {}));
  CHECK_FALSE(f.rest.remove(path, {})->gone);
  REQUIRE(f.rest.get(path));
  REQUIRE(f.rest.patch(path, "application/merge-patch+json", Json::parse(R"({"metadata":{"finalizers":null}})"), {}));
  CHECK(f.rest.get(path).error().code == 404);
}

TEST_CASE("a namespace goes with what is in it, the last object taking it along") {
  Fixture f;
  const ObjectPath space{&resources::kNamespaces, "", "other", ""};
  REQUIRE(f.rest.create({&resources::kNamespaces, "", "", ""}, Json::parse(R"({"metadata":{"name":"other"}})"), {}));
  REQUIRE(f.rest.create({&resources::kPods, "other", "", ""},
                        Json::parse(R"({"metadata":{"name":"web"},"spec":{"containers":[{"name":"c","image":"x"}]}})"), {}));
  CHECK_FALSE(f.rest.remove(space, {})->gone);
  CHECK(f.rest.create({&resources::kConfigMaps, "other", "", ""}, Json::parse(R"({"metadata":{"name":"x"}})"), {}).error().code == 403);
  REQUIRE(f.rest.remove({&resources::kPods, "other", "web", ""}, {.grace_seconds = 0}));
  CHECK(f.rest.get(space).error().code == 404);
  CHECK(f.rest.remove({&resources::kNamespaces, "", "default", ""}, {}).error().code == 403);
}

TEST_CASE("secrets fold stringData, immutable objects stay as they are") {
  Fixture f;
  const auto secret = f.rest.create({&resources::kSecrets, "default", "", ""},
                                    Json::parse(R"({"metadata":{"name":"s"},"stringData":{"a":"q","b":"pintle"},"immutable":true})"), {});
  REQUIRE(secret);
  const Json stored = Json::parse((*secret)->json.text());
  CHECK(stored["data"]["a"] == "cQ==");
  CHECK(stored["data"]["b"] == "cGludGxl");
  CHECK(stored["type"] == "Opaque");
  CHECK_FALSE(stored.contains("stringData"));
  CHECK(f.patch({&resources::kSecrets, "default", "s", ""}, R"({"data":{"a":"eA=="}})").error().code == 422);
}

TEST_CASE("a heartbeat is told to watchers and not to the disk") {
  Fixture f;
  const ObjectPath lease{&resources::kLeases, "kube-node-lease", "n1", ""};
  REQUIRE(f.rest.create({&resources::kLeases, "kube-node-lease", "", ""},
                        Json::parse(R"({"metadata":{"name":"n1"},"spec":{"holderIdentity":"n1","renewTime":"1"}})"), {}));
  const auto writes = f.log.writes().size();
  const auto version = f.store.version();
  REQUIRE(f.patch(lease, R"({"spec":{"renewTime":"2"}})"));
  CHECK(f.log.writes().size() == writes);
  CHECK(f.store.version() == version + 1);
  REQUIRE(f.patch(lease, R"({"spec":{"holderIdentity":"n2"}})"));
  CHECK(f.log.writes().size() == writes + 1);
}

TEST_CASE("a user's write is synced, an agent's status is not") {
  Fixture f;
  f.create_pod();
  CHECK(f.log.writes().back() == "put pods default/web synced");
  REQUIRE(f.patch(f.pods("web", "status"), R"({"status":{"phase":"Running"}})"));
  CHECK(f.log.writes().back() == "put pods default/web relaxed");
}

TEST_CASE("events are kept to a bounded number, the newest ones") {
  Fixture f;
  for (int i = 0; i < 1150; ++i)
    REQUIRE(f.rest.create({&resources::kEvents, "default", "", ""}, {{"metadata", {{"name", "e" + std::to_string(i)}}}}, {}));
  CHECK(f.store.list(resources::kEvents, {})->items.size() <= 1100);
  CHECK(f.rest.get({&resources::kEvents, "default", "e0", ""}).error().code == 404);
  CHECK(f.rest.get({&resources::kEvents, "default", "e1149", ""}));
}

}  // namespace pintle::standalone
