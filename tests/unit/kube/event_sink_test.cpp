// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include "fakes/kube/fake_api_server.h"
#include "kube/event_sink.h"

using namespace pintle;
using namespace pintle::kube;
using fakes::FakeApiServer;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

const SystemClock kClock;

model::Event event(const std::string& message) {
  model::Event out;
  out.object = {.api_version = "v1",
                .kind = "Pod",
                .namespace_ = "default",
                .name = "web",
                .uid = "u1",
                .resource_version = "",
                .field_path = "spec.containers{c}"};
  out.type = model::EventType::kWarning;
  out.reason = "BackOff";
  out.message = message;
  out.time = Time{seconds(1'800'000'000)};
  return out;
}

struct Rig {
  FakeApiServer server;
  std::unique_ptr<ApiConnection> connection = ApiConnection::create(server.config(), kClock, {.name = "events"}).value();
  KubeEventSink sink{*connection, kClock, {.host = "n1", .backoff = {milliseconds(1), milliseconds(5)}}};
};

}  // namespace

TEST_CASE("events are created once and then counted") {
  Rig rig;
  for (int i = 0; i < 3; ++i) rig.sink.record(event("again"));
  REQUIRE(rig.sink.flush(seconds(10)));
  const auto calls = rig.server.calls();
  REQUIRE(calls.size() == 3);
  CHECK(calls[0].method == "POST");
  CHECK(calls[1].method == "PATCH");
  const auto stored = rig.server.get("events", "default", calls[2].path.substr(calls[2].path.rfind('/') + 1));
  REQUIRE_FALSE(stored.is_null());
  CHECK(stored["count"] == 3);
  CHECK(stored["reason"] == "BackOff");
  CHECK(stored["source"]["component"] == "kubelet");
  CHECK(stored["source"]["host"] == "n1");
  CHECK(stored["involvedObject"]["fieldPath"] == "spec.containers{c}");
  CHECK(rig.sink.counts().sent == 3);
}

TEST_CASE("a server in trouble is tried again; one that refuses is not") {
  Rig rig;
  rig.server.fail_next({.status = 500, .times = 2});
  rig.sink.record(event("a"));
  REQUIRE(rig.sink.flush(seconds(10)));
  CHECK(rig.sink.counts().sent == 1);
  rig.server.fail_next({.status = 422, .reason = "Invalid"});
  rig.sink.record(event("b"));
  REQUIRE(rig.sink.flush(seconds(10)));
  CHECK(rig.sink.counts().lost == 1);
  CHECK(rig.server.calls().size() == 4);
}

TEST_CASE("an event that aged out of the server is created anew") {
  Rig rig;
  rig.sink.record(event("a"));
  REQUIRE(rig.sink.flush(seconds(10)));
  const auto posted = fakes::Json::parse(rig.server.calls().at(0).body);
  rig.server.remove("events", "default", posted["metadata"]["name"]);
  rig.sink.record(event("a"));
  REQUIRE(rig.sink.flush(seconds(10)));
  CHECK(rig.server.get("events", "default", posted["metadata"]["name"])["count"] == 2);
}

TEST_CASE("an object's flood is filtered and recording never blocks") {
  Rig rig;
  for (int i = 0; i < 100; ++i) rig.sink.record(event(fmt::to_string(i)));
  REQUIRE(rig.sink.flush(seconds(10)));
  CHECK(rig.sink.counts().sent == 25);
  CHECK(rig.sink.counts().filtered == 75);
}
