// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "lifecycle/admission.h"
#include "unit/lifecycle/rig.h"

using namespace pintle;
using namespace pintle::lifecycle;
using namespace pintle::lifecycle::test;

namespace {

Quantity q(const char* text) { return *Quantity::parse(text); }

NodeFacts big_node() {
  auto facts = node();
  facts.allocatable = {{"cpu", q("2")}, {"memory", q("1Gi")}, {"pods", q("3")}};
  facts.labels = {{"zone", "a"}, {"kubernetes.io/os", "linux"}};
  facts.taints = {{"maintenance", "yes", "NoExecute"}, {"soft", "", "NoSchedule"}};
  return facts;
}

}  // namespace

TEST_CASE("rows 8.5 to 8.8: what this node refuses, and in which words") {
  struct Row {
    const char* name;
    std::function<void(model::Pod&)> change;
    std::string reason, message;
  };
  const auto untaint = [](model::Pod& p) { p.spec.tolerations = {{"maintenance", "Exists", "", "NoExecute", {}}}; };
  const std::vector<Row> rows = {
      {"fits", [](model::Pod&) {}, "", ""},
      {"8.5 os", [](model::Pod& p) { p.spec.node_selector["kubernetes.io/os"] = "windows"; }, "PodOSSelectorNodeLabelDoesNotMatch",
       "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"},
      {"8.6 cpu", [](model::Pod& p) { p.spec.containers[0].resources.requests = {{"cpu", q("1500m")}}; }, "OutOfcpu",
       "Node didn't have enough resource: cpu, requested: 1500, used: 1000, capacity: 2000"},
      {"8.6 memory by limit", [](model::Pod& p) { p.spec.containers[0].resources.limits = {{"memory", q("2Gi")}}; }, "OutOfmemory",
       "Node didn't have enough resource: memory, requested: 2147483648, used: 0, capacity: 1073741824"},
      {"8.6 unknown resource", [](model::Pod& p) { p.spec.containers[0].resources.requests = {{"example.com/gpu", q("1")}}; }, "", ""},
      {"8.7 selector", [](model::Pod& p) { p.spec.node_selector["zone"] = "b"; }, "NodeAffinity",
       "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"},
      {"8.7 selector that fits", [](model::Pod& p) { p.spec.node_selector["zone"] = "a"; }, "", ""},
      {"8.7 name", [](model::Pod& p) { p.spec.node_name = "other"; }, "NodeName",
       "Predicate NodeName failed: node(s) didn't match the requested node name"},
      {"8.8 taint", [](model::Pod& p) { p.spec.tolerations.clear(); }, "TaintToleration",
       "Predicate TaintToleration failed: node(s) had untolerated taint {maintenance: yes}"},
      {"8.8 static pod",
       [](model::Pod& p) {
         p.spec.tolerations.clear();
         p.metadata.annotations["kubernetes.io/config.source"] = "file";
       },
       "", ""},
      {"8.8 equal value", [](model::Pod& p) { p.spec.tolerations = {{"maintenance", "Equal", "yes", "", {}}}; }, "", ""},
      {"8.8 other value", [](model::Pod& p) { p.spec.tolerations = {{"maintenance", "Equal", "no", "", {}}}; }, "TaintToleration",
       "Predicate TaintToleration failed: node(s) had untolerated taint {maintenance: yes}"},
      {"16.12 user namespace", [](model::Pod& p) { p.spec.host_users = false; }, "PodFeatureUnsupported",
       "Failed to admit pod: user namespaces (hostUsers: false) are not supported"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.name);
    auto wanted = pod();
    untaint(wanted);
    row.change(wanted);
    Rig rig(wanted);
    rig.facts = big_node();
    rig.others = {{"cpu", q("1")}};
    rig.pods_on_node = 2;
    rig.settle();
    if (row.reason.empty()) {
      CHECK(rig.status().phase == model::Phase::kRunning);
      continue;
    }
    CHECK(rig.status().phase == model::Phase::kFailed);
    CHECK(rig.status().reason == row.reason);
    CHECK(rig.status().message == "Pod was rejected: " + row.message);
    CHECK(rig.was_told("Warning " + row.reason + ": " + row.message));
    CHECK(rig.count("run sandbox") == 0);
    CHECK(rig.last.finished);
  }
}

TEST_CASE("row 8.6: a full node takes no pod more") {
  Rig rig;
  rig.facts.allocatable = {{"pods", q("3")}};
  rig.pods_on_node = 3;
  rig.settle();
  CHECK(rig.status().reason == "OutOfpods");
  CHECK(rig.status().message == "Pod was rejected: Node didn't have enough resource: pods, requested: 1, used: 3, capacity: 3");
}

TEST_CASE("admission is asked once: neither a restart of the agent nor a fuller node drives a pod out") {
  Rig rig;
  rig.settle();
  rig.facts.allocatable = {{"pods", q("0")}};
  rig.restart_agent();
  rig.settle();
  CHECK(rig.status().phase == model::Phase::kRunning);
}

TEST_CASE("row 8.6: what a pod requests") {
  auto c = container("a");
  c.resources.requests = {{"cpu", q("100m")}, {"memory", q("10Mi")}};
  auto side = container("side");
  side.restart_policy = model::RestartPolicy::kAlways;
  side.resources.requests = {{"cpu", q("50m")}};
  auto heavy = container("heavy");
  heavy.resources.requests = {{"cpu", q("300m")}};
  auto wanted = pod({c, c});
  CHECK(pod_requests(wanted.spec)["cpu"] == q("200m"));
  wanted.spec.init_containers = {side};
  CHECK(pod_requests(wanted.spec)["cpu"] == q("250m"));
  wanted.spec.init_containers = {side, heavy};
  CHECK(pod_requests(wanted.spec)["cpu"] == q("350m"));  // beside the sidecar
  wanted.spec.init_containers = {heavy, side};
  CHECK(pod_requests(wanted.spec)["cpu"] == q("300m"));
  wanted.spec.overhead = {{"cpu", q("1")}};
  CHECK(pod_requests(wanted.spec)["cpu"] == q("1300m"));
  CHECK(pod_requests(wanted.spec)["memory"] == q("20Mi"));
}
