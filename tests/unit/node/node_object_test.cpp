// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "node/node_object.h"

using namespace pintle;
using namespace pintle::node;
using model::ConditionStatus;

namespace {

const Time kNow{std::chrono::seconds(1'800'000'000)};
const Time kLater = kNow + std::chrono::minutes(1);

// The machine on which a reference node agent published its node object.
MachineInfo machine() {
  MachineInfo out;
  out.cpus = 2;
  out.memory_bytes = uint64_t{24684084} * 1024;
  out.storage_bytes = uint64_t{264212084} * 1024;
  out.hugepages = {{"hugepages-1Gi", 0}, {"hugepages-2Mi", 0}};
  out.system.operating_system = "linux";
  out.system.architecture = "amd64";
  out.system.boot_id = "boot-1";
  return out;
}
NodeSettings settings() {
  NodeSettings out;
  out.name = "rignode";
  out.addresses = {"10.77.0.1"};
  out.labels = {{"rig", "yes"}};
  out.system_reserved["memory"] = Quantity::parse("150Mi").value();
  out.eviction_storage_fraction = 0.05F;
  return out;
}
NodeFacts healthy() {
  NodeFacts out;
  out.runtime_answers = true;
  out.runtime_version = model::RuntimeVersion{.name = "containerd", .version = "1.6.20", .api_version = "v1"};
  out.runtime.runtime_ready.ok = out.runtime.network_ready.ok = true;
  return out;
}

}  // namespace

TEST_CASE("capacity and allocatable are those of the reference, to the byte") {
  const auto capacity = capacity_of(settings(), machine());
  CHECK(capacity.at("cpu").text() == "2");
  CHECK(capacity.at("memory").text() == "24684084Ki");
  CHECK(capacity.at("ephemeral-storage").text() == "264212084Ki");
  CHECK(capacity.at("pods").text() == "110");
  CHECK(capacity.at("hugepages-2Mi").text() == "0");
  const auto allocatable = allocatable_of(settings(), machine());
  CHECK(allocatable.at("cpu").text() == "2");
  CHECK(allocatable.at("memory").text() == "24428084Ki");
  CHECK(allocatable.at("ephemeral-storage").text() == "257025515114");
}

TEST_CASE("reservations come off, never below zero") {
  auto s = settings();
  s.system_reserved["cpu"] = Quantity::parse("250m").value();
  s.kube_reserved["cpu"] = Quantity::parse("250m").value();
  s.kube_reserved["memory"] = Quantity::parse("1Ti").value();
  auto m = machine();
  m.hugepages["hugepages-2Mi"] = uint64_t{1} << 30;
  const auto allocatable = allocatable_of(s, m);
  CHECK(allocatable.at("cpu").text() == "1500m");
  CHECK(allocatable.at("memory").text() == "0");
  CHECK(allocatable.at("hugepages-2Mi").text() == "1Gi");
  s.kube_reserved.erase("memory");
  s.eviction_storage_fraction = 0;  // row 7.7: a threshold given as a quantity
  s.eviction_storage_bytes = 1000;
  CHECK(allocatable_of(s, m).at("ephemeral-storage").value() == capacity_of(s, m).at("ephemeral-storage").value() - 1000);
  CHECK(allocatable_of(s, m).at("memory").value() == (int64_t{24428084} * 1024) - (int64_t{1} << 30));
}

TEST_CASE("conditions have the texts that tools know") {
  const auto conditions = conditions_of(healthy(), {}, kNow);
  REQUIRE(conditions.size() == 4);
  struct Row {
    const char *type, *reason, *message;
    ConditionStatus status;
  };
  const Row good[] = {{"MemoryPressure", "KubeletHasSufficientMemory", "kubelet has sufficient memory available", ConditionStatus::kFalse},
                      {"DiskPressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure", ConditionStatus::kFalse},
                      {"PIDPressure", "KubeletHasSufficientPID", "kubelet has sufficient PID available", ConditionStatus::kFalse},
                      {"Ready", "KubeletReady", "kubelet is posting ready status", ConditionStatus::kTrue}};
  for (size_t i = 0; i < 4; ++i) {
    CHECK(conditions[i].type == good[i].type);
    CHECK(conditions[i].reason == good[i].reason);
    CHECK(conditions[i].message == good[i].message);
    CHECK(conditions[i].status == good[i].status);
  }
}

TEST_CASE("each cause of not being ready is said") {
  struct Row {
    void (*spoil)(NodeFacts&);
    const char* message;
  };
  const Row rows[] = {
      {[](NodeFacts& f) { f.runtime_answers = false; }, "container runtime is down"},
      {[](NodeFacts& f) { f.runtime.runtime_ready = {false, "Broken", "no"}; },
       "container runtime not ready: RuntimeReady=false reason:Broken message:no"},
      {[](NodeFacts& f) { f.runtime.network_ready = {false, "NetworkPluginNotReady", "cni plugin not initialized"}; },
       "container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:cni plugin not initialized"},
      {[](NodeFacts& f) { f.other_errors = {"node is shutting down"}; }, "node is shutting down"},
      {[](NodeFacts& f) { f.runtime_answers = false, f.other_errors = {"b"}; }, "[container runtime is down, b]"}};
  for (const auto& row : rows) {
    CAPTURE(row.message);
    NodeFacts facts = healthy();
    row.spoil(facts);
    const auto ready = conditions_of(facts, {}, kNow).back();
    CHECK(ready.status == ConditionStatus::kFalse);
    CHECK(ready.reason == "KubeletNotReady");
    CHECK(ready.message == row.message);
  }
}

TEST_CASE("a transition time moves with the status only") {
  const auto before = conditions_of(healthy(), {}, kNow);
  auto facts = healthy();
  facts.memory_pressure = true;
  const auto after = conditions_of(facts, before, kLater);
  CHECK(after[0].last_transition_time == kLater);
  CHECK(after[0].reason == "KubeletHasInsufficientMemory");
  CHECK(after[3].last_transition_time == kNow);
  CHECK(after[3].last_heartbeat_time == kLater);
}

TEST_CASE("what is registered") {
  const auto node = node_to_register(settings(), machine(), healthy(), kNow);
  const model::StringMap labels = {{"rig", "yes"},
                                   {"kubernetes.io/hostname", "rignode"},
                                   {"kubernetes.io/os", "linux"},
                                   {"kubernetes.io/arch", "amd64"},
                                   {"beta.kubernetes.io/os", "linux"},
                                   {"beta.kubernetes.io/arch", "amd64"}};
  CHECK(node.metadata.labels == labels);
  CHECK(node.metadata.annotations.at("volumes.kubernetes.io/controller-managed-attach-detach") == "true");
  CHECK(node.status.addresses == std::vector<model::NodeAddress>{{"InternalIP", "10.77.0.1"}, {"Hostname", "rignode"}});
  CHECK(node.status.info.container_runtime_version == "containerd://1.6.20");
  CHECK(node.status.kubelet_port == 10250);

  auto existing = node;
  CHECK_FALSE(reconcile_metadata(existing, node));
  existing.metadata.labels.erase("kubernetes.io/os");
  existing.metadata.labels["theirs"] = "stays";
  CHECK(reconcile_metadata(existing, node));
  CHECK(existing.metadata.labels.contains("kubernetes.io/os"));
  CHECK(existing.metadata.labels.contains("theirs"));
}

TEST_CASE("images: biggest first, few, with few names") {
  auto facts = healthy();
  for (uint64_t i = 0; i < 60; ++i) facts.images.push_back({{"a", "b", "c", "d", "e", "f"}, i});
  const auto status = status_of(settings(), machine(), facts, {}, kNow);
  REQUIRE(status.images.size() == 50);
  CHECK(status.images[0].size_bytes == 59);
  CHECK(status.images[0].names.size() == 5);
}

TEST_CASE("heartbeats and others' conditions are no difference") {
  const auto status = status_of(settings(), machine(), healthy(), {}, kNow);
  const auto later = status_of(settings(), machine(), healthy(), status, kLater);
  CHECK_FALSE(differs_in_meaning(status, later));
  auto known = status;
  known.conditions.push_back({.type = "NetworkUnavailable",
                              .status = ConditionStatus::kFalse,
                              .reason = "r",
                              .message = "m",
                              .last_heartbeat_time = {},
                              .last_transition_time = {}});
  known.capacity["example.com/gpu"] = Quantity::from_value(1);
  CHECK_FALSE(differs_in_meaning(known, later));
  auto facts = healthy();
  facts.disk_pressure = true;
  CHECK(differs_in_meaning(status, status_of(settings(), machine(), facts, status, kLater)));
  facts = healthy();
  facts.images.push_back({{"new"}, 1});
  CHECK(differs_in_meaning(status, status_of(settings(), machine(), facts, status, kLater)));
}

TEST_CASE("changes are told as events") {
  const auto status = status_of(settings(), machine(), healthy(), {}, kNow);
  std::vector<std::string> reasons;
  for (const auto& event : events_of("rignode", nullptr, status, kNow)) reasons.push_back(event.reason);
  CHECK(reasons == std::vector<std::string>{"NodeHasSufficientMemory", "NodeHasNoDiskPressure", "NodeHasSufficientPID", "NodeReady"});
  CHECK(events_of("rignode", &status, status, kNow).empty());
  auto rebooted = status;
  rebooted.info.boot_id = "boot-2";
  const auto events = events_of("rignode", &status, rebooted, kNow);
  REQUIRE(events.size() == 1);
  CHECK(events[0].reason == "Rebooted");
  CHECK(events[0].message == "Node rignode has been rebooted, boot id: boot-2");
  CHECK(events[0].type == model::EventType::kWarning);
}

TEST_CASE("the program set in force is a condition, and none where there is no eBPF") {
  using Attempt = model::ProgramSetStatus::Attempt;
  auto facts = healthy();
  CHECK(find_condition(status_of(settings(), machine(), facts, {}, kNow), kProgramSetCondition) == nullptr);
  struct Row {
    Attempt attempt;
    ConditionStatus status;
    const char *reason, *message;
  };
  for (const auto& row : {Row{Attempt::kNone, ConditionStatus::kTrue, "InForce", "program set 'builtin' (version 1) is in force"},
                          Row{Attempt::kRefused, ConditionStatus::kFalse, "Refused",
                              "'next' is wanted: no good; program set 'builtin' (version 1) is in force"},
                          Row{Attempt::kRolledBack, ConditionStatus::kFalse, "RolledBack",
                              "'next' is wanted: no good; program set 'builtin' (version 1) is in force"}}) {
    facts.program_set = {.name = "builtin", .version = "1", .attempt = row.attempt, .wanted = "next", .error = "no good"};
    const auto status = status_of(settings(), machine(), facts, {}, kNow);
    const auto* condition = find_condition(status, kProgramSetCondition);
    REQUIRE(condition != nullptr);
    CHECK(condition->status == row.status);
    CHECK(condition->reason == row.reason);
    CHECK(condition->message == row.message);
    CHECK(is_ready(status));
    CHECK(events_of("rignode", nullptr, status, kNow).size() == 4);  // told of by whoever switches
  }
}
