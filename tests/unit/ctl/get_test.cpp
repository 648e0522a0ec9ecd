// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <future>

#include <catch2/catch_test_macros.hpp>

#include "codec/document.h"
#include "unit/ctl/ctl_fixture.h"

using namespace pintle;
using test::CtlFixture;

TEST_CASE("get pods prints kubectl's columns") {
  CtlFixture f;
  f.agent.put(test::running_pod());
  f.agent.put(test::crashing_pod());
  f.agent.put(test::running_pod("db", "data"));
  auto ran = f.ctl({"get", "pods"});
  CHECK(ran.code == 0);
  CHECK(ran.err.empty());
  CHECK(ran.out ==
        "NAME   READY   STATUS             RESTARTS      AGE\n"
        "bad    0/1     CrashLoopBackOff   3 (90s ago)   5m\n"
        "web    1/1     Running            0             5m\n");
  CHECK(f.ctl({"get", "po", "-A", "-o", "wide"}).out ==
        "NAMESPACE   NAME   READY   STATUS             RESTARTS      AGE   IP          NODE    EBPF\n"
        "data        db     1/1     Running            0             5m    10.88.0.7   node1   4/4\n"
        "default     bad    0/1     CrashLoopBackOff   3 (90s ago)   5m    10.88.0.7   node1   3/4\n"
        "default     web    1/1     Running            0             5m    10.88.0.7   node1   4/4\n");
  CHECK(f.ctl({"get", "pods", "-l", "app=web", "--no-headers"}).out == "web   1/1   Running   0   5m\n");
  CHECK(f.ctl({"get", "pod", "web", "-o", "name"}).out == "pod/web\n");
  CHECK(f.ctl({"get", "pods", "-o", "jsonpath={.items[*].metadata.name}"}).out == "bad web\n");
  CHECK(f.ctl({"get", "pod/web", "-o", "jsonpath={.status.podIP}"}).out == "10.88.0.7\n");
}

TEST_CASE("colour is for terminals, and NO_COLOR turns it off") {
  CtlFixture f;
  f.agent.put(test::running_pod());
  CHECK(f.ctl({"get", "pods"}).out.find('\033') == std::string::npos);
  f.tty = true;
  CHECK(f.ctl({"get", "pods"}).out.find("\033[32mRunning\033[0m") != std::string::npos);
  f.environment["NO_COLOR"] = "1";
  CHECK(f.ctl({"get", "pods"}).out.find('\033') == std::string::npos);
}

TEST_CASE("json and yaml are whole objects, one or a list") {
  CtlFixture f;
  f.agent.put(test::running_pod());
  const auto single = codec::parse_json(f.ctl({"get", "pod", "web", "-o", "json"}).out, "");
  REQUIRE(single);
  CHECK(single->find("kind")->text == "Pod");
  CHECK(single->find("status")->find("phase")->text == "Running");
  const auto list = codec::parse_json(f.ctl({"get", "pods", "-o", "json"}).out, "");
  REQUIRE(list);
  CHECK(list->find("kind")->text == "List");
  CHECK(list->find("items")->children.size() == 1);
  const auto yaml = f.ctl({"get", "pod", "web", "-o", "yaml"}).out;
  CHECK(yaml.find("kind: Pod\n") != std::string::npos);
  CHECK(yaml.find("  phase: Running\n") != std::string::npos);
}

TEST_CASE("what isn't there is said, with the way to what is") {
  CtlFixture f;
  auto ran = f.ctl({"get", "pods"});
  CHECK(ran.code == 0);
  CHECK(ran.out.empty());
  CHECK(ran.err == "note: no pods found in namespace 'default'\n");
  ran = f.ctl({"get", "pod", "web", "-o", "json"});
  CHECK(ran.code == 1);
  CHECK(ran.out.empty());
  CHECK(ran.err == "error: pod 'web' not found in namespace 'default'; 'pintlectl get pods -A' shows what is there\n");
  const auto empty = codec::parse_json(f.ctl({"get", "pods", "-o", "json"}).out, "");
  REQUIRE(empty);
  CHECK(empty->find("items")->children.empty());
}

TEST_CASE("a watch prints each change as a row, as JSON lines, and ends with the daemon or when interrupted") {
  CtlFixture f;
  f.agent.put(test::running_pod());
  auto watching = std::async(std::launch::async, [&] { return f.ctl({"get", "pods", "-w"}); });
  f.out.wait_for("web ");
  f.agent.put(test::crashing_pod());
  f.out.wait_for("bad ");
  f.interrupt.request_stop();
  auto ran = watching.get();
  CHECK(ran.code == 130);
  CHECK(ran.out ==
        "NAME   READY   STATUS    RESTARTS   AGE\n"
        "web    1/1     Running   0          5m\n"
        "bad    0/1     CrashLoopBackOff   3 (90s ago)   5m\n");
  f.interrupt = std::stop_source();
  watching = std::async(std::launch::async, [&] { return f.ctl({"get", "pods", "-w", "-o", "json"}); });
  f.out.wait_for("\"name\":\"web\"");
  f.agent.put(test::running_pod("late"));
  f.out.wait_for("\"name\":\"late\"");
  f.service->stop();
  ran = watching.get();
  CHECK(ran.code == 3);
  CHECK(std::count(ran.out.begin(), ran.out.end(), '\n') == 3);
}

TEST_CASE("events and nodes have their own columns") {
  CtlFixture f;
  f.agent.add_event({.object = {.kind = "Pod", .namespace_ = "default", .name = "web"},
                     .type = model::EventType::kWarning,
                     .reason = "BackOff",
                     .message = "Back-off restarting\nfailed container",
                     .time = test::kNow - std::chrono::seconds(30)});
  f.agent.add_event(
      {.object = {.kind = "Node", .name = "node1"}, .reason = "Starting", .message = "up", .time = test::kNow - std::chrono::minutes(20)});
  CHECK(f.ctl({"get", "events"}).out ==
        "LAST SEEN   TYPE      REASON     OBJECT       MESSAGE\n"
        "30s         Warning   BackOff    pod/web      Back-off restarting failed container\n"
        "20m         Normal    Starting   node/node1   up\n");
  const auto list = codec::parse_json(f.ctl({"get", "events", "-o", "json"}).out, "");
  REQUIRE(list);
  CHECK(list->find("items")->children[0].find("involvedObject")->find("kind")->text == "Pod");

  model::Node node;
  node.metadata.name = "node1";
  node.metadata.creation_timestamp = test::kNow - std::chrono::hours(51);
  node.status.conditions = {{"Ready", model::ConditionStatus::kTrue, "KubeletReady", "ready", test::kNow, test::kNow}};
  node.status.info.kubelet_version = "v1.33.0-pintle";
  f.agent.set_node(node);
  CHECK(f.ctl({"get", "nodes"}).out ==
        "NAME    STATUS   ROLES    AGE    VERSION\n"
        "node1   Ready    <none>   2d3h   v1.33.0-pintle\n");
}

TEST_CASE("other kinds come from the daemon's API") {
  CtlFixture f;
  f.agent.set_objects("configmaps", R"({"kind":"ConfigMapList","items":[{"kind":"ConfigMap","metadata":{"name":"c","namespace":"default",
    "creationTimestamp":"2023-11-14T22:11:20Z"},"data":{"a":"1","b":"2"}}]})");
  CHECK(f.ctl({"get", "cm"}).out == "NAME   DATA   AGE\nc      2      2m\n");
  CHECK(f.ctl({"get", "configmap/c", "-o", "jsonpath={.data.b}"}).out == "2\n");
  const auto ran = f.ctl({"get", "widgets"});
  CHECK(ran.code == 4);
  CHECK(ran.err == "error: no objects of kind 'widgets' here\n");
}
