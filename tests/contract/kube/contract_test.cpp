// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What our adapters may rely on, of any API server.
#include <catch2/catch_test_macros.hpp>

#include <fmt/format.h>

#include "codec/objects.h"
#include "fakes/kube/fake_store.h"
#include "fakes/kube/pod_recorder.h"
#include "fakes/reconcile/memory_pod_api.h"
#include "kube/event_sink.h"
#include "kube/node_api.h"
#include "kube/pod_api.h"
#include "kube/pod_watcher.h"
#include "pod_api_contract.h"
#include "rig.h"

using namespace pintle;
using namespace pintle::kube;
using contract::fresh;
using contract::kClock;
using contract::pod_of;
using contract::Rig;
using contract::running;
using fakes::Json;
using std::chrono::seconds;

TEST_CASE("pods: created, reported on, deleted") {
  Rig rig;
  KubePodApi api(*rig.connection);
  contract::check_pod_api(api, fresh("web"));
}

TEST_CASE("the API in memory that other tests use does what an API server does") {
  fakes::MemoryPodApi api;
  contract::check_pod_api(api, "web");
}

TEST_CASE("a pod that makes no sense is refused for good") {
  Rig rig;
  KubePodApi api(*rig.connection);
  auto pod = pod_of("", "n1");
  const auto created = api.create_pod(pod, {});
  REQUIRE_FALSE(created);
  CHECK(created.error().code == Code::kInvalid);
}

TEST_CASE("nodes: registered once, patched by difference") {
  Rig rig;
  KubeNodeApi api(*rig.connection);
  model::Node node;
  node.metadata.name = fresh("node");
  node.metadata.namespace_.clear();
  node.metadata.labels["kubernetes.io/hostname"] = node.metadata.name;
  CHECK(api.get_node(node.metadata.name, {}).error().code == Code::kNotFound);
  const auto created = api.create_node(node, {});
  if (!created) FAIL(created.error().context);
  CHECK(api.create_node(node, {}).error().code == Code::kAlreadyExists);

  model::NodeStatus status = created->status;
  status.capacity["cpu"] = Quantity::from_value(2);
  status.allocatable["cpu"] = Quantity::from_value(2);
  status.addresses = {{"InternalIP", "10.0.0.1"}, {"Hostname", node.metadata.name}};
  status.kubelet_port = 10250;
  status.info.kernel_version = "6.1";
  status.conditions.push_back({.type = "Ready",
                               .status = model::ConditionStatus::kTrue,
                               .reason = "KubeletReady",
                               .message = "m",
                               .last_heartbeat_time = Time{seconds(1'800'000'000)},
                               .last_transition_time = Time{seconds(1'800'000'000)}});
  const auto patched = api.patch_node_status(*created, status, {});
  if (!patched) FAIL(patched.error().context);
  CHECK(patched->status.capacity.at("cpu").value() == 2);
  CHECK(patched->status.addresses == status.addresses);
  CHECK(patched->status.kubelet_port == 10250);
  REQUIRE(patched->status.conditions.size() == 1);

  status.conditions[0].status = model::ConditionStatus::kFalse;
  status.addresses = {{"InternalIP", "10.0.0.2"}, {"Hostname", node.metadata.name}};
  const auto again = api.patch_node_status(*patched, status, {});
  if (!again) FAIL(again.error().context);
  REQUIRE(again->status.conditions.size() == 1);
  CHECK(again->status.conditions[0].status == model::ConditionStatus::kFalse);
  CHECK(again->status.addresses == status.addresses);

  auto relabelled = *again;
  relabelled.metadata.labels["x"] = "y";
  relabelled.metadata.annotations["a"] = "b";
  const auto labelled = api.patch_node_metadata(relabelled, {});
  if (!labelled) FAIL(labelled.error().context);
  CHECK(labelled->metadata.labels.at("x") == "y");
  CHECK(labelled->metadata.labels.at("kubernetes.io/hostname") == node.metadata.name);
  CHECK(labelled->metadata.annotations.at("a") == "b");
}

TEST_CASE("leases: created, renewed, refused when someone else was faster") {
  Rig rig;
  KubeLeaseApi api(*rig.connection);
  model::Lease lease;
  lease.metadata.name = fresh("lease");
  lease.metadata.namespace_ = "kube-node-lease";
  lease.holder_identity = lease.metadata.name;
  lease.renew_time = Time{seconds(1'800'000'000)};
  CHECK(api.get_lease(lease.metadata.name, {}).error().code == Code::kNotFound);
  const auto first = api.create_lease(lease, {});
  if (!first) FAIL(first.error().context);
  CHECK(api.create_lease(lease, {}).error().code == Code::kAlreadyExists);
  auto next = *first;
  next.renew_time += seconds(10);
  const auto second = api.update_lease(next, {});
  if (!second) FAIL(second.error().context);
  CHECK(second->renew_time == next.renew_time);
  CHECK(second->duration_seconds == 40);
  CHECK(api.update_lease(next, {}).error().code == Code::kGone);
  const auto read = api.get_lease(lease.metadata.name, {});
  REQUIRE(read);
  CHECK(read->metadata.resource_version == second->metadata.resource_version);
}

TEST_CASE("config objects and tokens") {
  Rig rig;
  const std::string name = fresh("settings");
  rig.call("POST", "/api/v1/namespaces/default/configmaps",
           {{"apiVersion", "v1"},
            {"kind", "ConfigMap"},
            {"metadata", {{"name", name}}},
            {"data", {{"a", "b"}}},
            {"binaryData", {{"c", "aGVsbG8="}}}});
  rig.call("POST", "/api/v1/namespaces/default/secrets",
           {{"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", name}}}, {"data", {{"password", "aGVsbG8="}}}});
  KubeObjectReader reader(*rig.connection);
  const auto map = reader.get_config_map("default", name, {});
  if (!map) FAIL(map.error().context);
  CHECK(map->data.at("a") == "b");
  CHECK(map->binary_data.at("c") == "hello");
  const auto secret = reader.get_secret("default", name, {});
  if (!secret) FAIL(secret.error().context);
  CHECK(secret->data.at("password") == "hello");
  CHECK(reader.get_secret("default", "absent", {}).error().code == Code::kNotFound);

  // The account may be there already: made by the fake's set-up or by an earlier test.
  (void)rig.connection->request({.method = "POST",
                                 .path = "/api/v1/namespaces/default/serviceaccounts",
                                 .body = R"({"apiVersion":"v1","kind":"ServiceAccount","metadata":{"name":"builder"}})"},
                                {});
  auto pod = pod_of(fresh("builder"), "n1");
  pod.spec.service_account_name = "builder";
  const auto user = KubePodApi(*rig.connection).create_pod(pod, {});
  if (!user) FAIL(user.error().context);
  const auto token = reader.request_token({.namespace_ = "default",
                                           .service_account = "builder",
                                           .pod_name = user->metadata.name,
                                           .pod_uid = user->metadata.uid,
                                           .audience = ""},
                                          {});
  if (!token) FAIL(token.error().context);
  CHECK_FALSE(token->token.empty());
  CHECK(token->expires_at > kNoTime);
}

TEST_CASE("events arrive and are counted") {
  Rig rig;
  const std::string pod = fresh("noisy");
  {
    KubeEventSink sink(*rig.connection, kClock, {.host = "n1"});
    model::Event event;
    event.object = {
        .api_version = "v1", .kind = "Pod", .namespace_ = "default", .name = pod, .uid = "u", .resource_version = "", .field_path = ""};
    event.reason = "Started";
    event.message = "Container started";
    event.time = kClock.now();
    for (int i = 0; i < 3; ++i) sink.record(event);
    REQUIRE(sink.flush(seconds(10)));
    CHECK(sink.counts().sent == 3);
  }
  const Json list = rig.call("GET", "/api/v1/namespaces/default/events");
  int found = 0;
  for (const auto& item : list["items"]) {
    if (item["involvedObject"].value("name", "") != pod) continue;
    ++found;
    CHECK(item["count"] == 3);
    CHECK(item["source"]["component"] == "kubelet");
    CHECK(item["reportingComponent"] == "kubelet");
  }
  CHECK(found == 1);
}

TEST_CASE("the pod watch follows pods from birth to end, over pages") {
  Rig rig;
  const std::string node = fresh("watched");
  KubePodApi api(*rig.connection);
  std::vector<model::Pod> made;
  for (int i = 0; i < 3; ++i) {
    auto pod = api.create_pod(pod_of(fresh("p"), node), {});
    if (!pod) FAIL(pod.error().context);
    made.push_back(*std::move(pod));
  }
  REQUIRE(api.create_pod(pod_of(fresh("other"), "another-node"), {}));
  fakes::PodRecorder pods;
  PodWatcher watcher(rig.config, kClock, {.node_name = node, .page_size = 2, .watch_min = seconds(1), .watch_max = seconds(1)});
  REQUIRE(watcher.start(pods));
  CHECK(pods.wait_names({made[0].metadata.name, made[1].metadata.name, made[2].metadata.name}));

  REQUIRE(api.patch_status(made[0], running(made[0]), {}));
  CHECK(pods.wait([&](const auto& view) { return view.pods.at(made[0].metadata.name)->status.phase == model::Phase::kRunning; }));
  REQUIRE(api.delete_pod(made[1], {}));
  CHECK(pods.wait_names({made[0].metadata.name, made[2].metadata.name}));
  const auto late = api.create_pod(pod_of(fresh("late"), node), {});
  REQUIRE(late);
  CHECK(pods.wait_names({made[0].metadata.name, made[2].metadata.name, late->metadata.name}));
  watcher.stop();
  CHECK(watcher.counts().lists == 1);
  CHECK(pods.view().problems.empty());
}

TEST_CASE("who is not known is told to try again, by name of the request") {
  Rig rig;
  if (!rig.config.token.given()) SKIP("the fake has no users");
  Kubeconfig stranger = rig.config;
  stranger.token = {"wrong", ""};
  auto connection = ApiConnection::create(stranger, kClock, {.name = "stranger"}).value();
  const auto reply = connection->request({.path = "/api/v1/nodes"}, {});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Code::kUnavailable);
  CHECK(reply.error().context.starts_with("GET /api/v1/nodes: 401"));
}
