// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <algorithm>
#include <map>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "codec/objects.h"

namespace pintle::codec {
namespace {

using nlohmann::json;

Time at(int64_t seconds) { return Time{std::chrono::seconds{1'790'000'000 + seconds}}; }

model::Pod running_pod() {
  model::Pod pod;
  pod.metadata.name = "web";
  pod.metadata.uid = "u-1";
  pod.status.phase = model::Phase::kRunning;
  pod.status.host_ip = "10.0.0.1";
  pod.status.host_ips = {"10.0.0.1"};
  pod.status.pod_ips = {"10.244.0.5"};
  pod.status.start_time = at(0);
  pod.status.qos_class = model::QosClass::kBurstable;
  for (const char* type : {"Initialized", "Ready", "example.com/gate"})
    pod.status.conditions.push_back(
        {.type = type, .status = model::ConditionStatus::kTrue, .reason = {}, .message = {}, .last_transition_time = at(1)});
  model::ContainerStatus container;
  container.name = "main";
  container.container_id = "containerd://1";
  container.ready = true;
  container.state = model::StateRunning{at(2)};
  pod.status.container_statuses = {container};
  return pod;
}

// The part of a strategic merge that the API's types use for a status: what an API server makes of a patch.
json merge(json object, const json& patch);

json merge_list(const json& before, const json& patch, const std::string& key) {
  json out = json::array();
  const bool replace = std::ranges::any_of(patch, [](const json& item) { return item.value("$patch", "") == "replace"; });
  if (!replace) out = before.is_null() ? json::array() : before;
  for (const auto& item : patch) {
    const std::string directive = item.value("$patch", "");
    if (directive == "replace") continue;
    const auto same = [&](const json& other) { return other.at(key) == item.at(key); };
    const auto found = replace ? out.end() : std::find_if(out.begin(), out.end(), same);
    if (directive == "delete") {
      if (found != out.end()) out.erase(found);
    } else if (found != out.end()) {
      *found = merge(*found, item);
    } else {
      out.push_back(merge(json::object(), item));
    }
  }
  return out;
}

json merge(json object, const json& patch) {
  static const std::map<std::string, std::string> kKeys = {
      {"conditions", "type"}, {"podIPs", "ip"}, {"hostIPs", "ip"}, {"addresses", "type"}};
  for (const auto& [name, value] : patch.items()) {
    if (name.starts_with("$setElementOrder/")) continue;
    if (value.is_null())
      object.erase(name);
    else if (value.is_object())
      object[name] = merge(object.contains(name) ? object[name] : json::object(), value);
    else if (value.is_array() && kKeys.contains(name))
      object[name] = merge_list(object.contains(name) ? object[name] : json(), value, kKeys.at(name));
    else
      object[name] = value;
  }
  return object;
}

model::Pod patched(const model::Pod& pod, const std::string& patch) {
  const auto merged = decode_pod(merge(json::parse(encode_pod(pod)), json::parse(patch)).dump());
  REQUIRE((merged ? std::string() : merged.error().context).empty());
  return *merged;
}

}  // namespace

TEST_CASE("no difference is an empty patch") {
  const auto pod = running_pod();
  CHECK(pod_status_patch(pod, pod.status) == "{}");
  auto later = pod.status;
  later.start_time = *later.start_time + std::chrono::milliseconds{400};  // below what the API can tell apart
  CHECK(pod_status_patch(pod, later) == "{}");
}

TEST_CASE("a status patch holds only what changed, and the uid") {
  const auto pod = running_pod();
  auto status = pod.status;
  status.conditions.at(1).status = model::ConditionStatus::kFalse;
  status.conditions.at(1).reason = "ContainersNotReady";
  CHECK(json::parse(pod_status_patch(pod, status)) == json::parse(R"({"metadata":{"uid":"u-1"},"status":{"conditions":[
    {"type":"Ready","status":"False","reason":"ContainersNotReady","lastProbeTime":null,"lastTransitionTime":"2026-09-21T14:13:21Z"}]}})"));
}

TEST_CASE("foreign conditions stay, own ones that ended go") {
  auto pod = running_pod();
  pod.status.conditions.push_back({.type = "PodResizePending", .status = model::ConditionStatus::kTrue});
  auto status = pod.status;
  status.conditions.erase(status.conditions.begin() + 2, status.conditions.end());  // drops the gate's and PodResizePending
  const json patch = json::parse(pod_status_patch(pod, status));
  CHECK(patch["status"]["conditions"] == json::parse(R"([{"$patch":"delete","type":"PodResizePending"}])"));
  const auto merged = patched(pod, patch.dump());
  CHECK(model::find_condition(merged.status, "example.com/gate") != nullptr);
  CHECK(model::find_condition(merged.status, "PodResizePending") == nullptr);
}

TEST_CASE("a reason that is gone is taken away") {
  auto pod = running_pod();
  pod.status.conditions.at(1).reason = "ContainersNotReady";
  pod.status.reason = "Evicted";
  auto status = pod.status;
  status.reason.clear();
  status.conditions.at(1).reason.clear();
  const json patch = json::parse(pod_status_patch(pod, status));
  CHECK(patch["status"]["reason"].is_null());
  CHECK(patched(pod, patch.dump()).status == status);
}

TEST_CASE("a changed pod IP does not leave the old one") {
  const auto pod = running_pod();
  auto status = pod.status;
  status.pod_ips = {"10.244.0.9"};
  const json patch = json::parse(pod_status_patch(pod, status));
  CHECK(patch["status"]["podIP"] == "10.244.0.9");
  CHECK(patch["status"]["podIPs"] == json::parse(R"([{"$patch":"delete","ip":"10.244.0.5"},{"ip":"10.244.0.9"}])"));
  CHECK(patched(pod, patch.dump()).status == status);

  status.pod_ips.clear();
  CHECK(patched(pod, pod_status_patch(pod, status)).status.pod_ips.empty());

  status.pod_ips = {"fd00::5", "10.244.0.5"};
  const json dual = json::parse(pod_status_patch(pod, status));
  CHECK(dual["status"]["$setElementOrder/podIPs"] == json::parse(R"([{"ip":"fd00::5"},{"ip":"10.244.0.5"}])"));
}

TEST_CASE("container statuses are sent whole") {
  const auto pod = running_pod();
  auto status = pod.status;
  model::ContainerStatus other;
  other.name = "side";
  status.container_statuses.push_back(other);
  status.container_statuses.at(0).state = model::StateTerminated{.exit_code = 137,
                                                                 .signal = 9,
                                                                 .reason = "OOMKilled",
                                                                 .message = {},
                                                                 .container_id = "containerd://1",
                                                                 .started_at = at(2),
                                                                 .finished_at = at(9)};
  const json patch = json::parse(pod_status_patch(pod, status));
  CHECK(patch["status"]["containerStatuses"].size() == 2);
  CHECK(patch["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 137);
  CHECK(patch["status"].size() == 1);
  CHECK(patched(pod, patch.dump()).status == status);
}

TEST_CASE("a fresh pod gets its whole status") {
  model::Pod fresh;
  fresh.metadata.name = "web";
  fresh.metadata.uid = "u-1";
  const auto status = running_pod().status;
  CHECK(patched(fresh, pod_status_patch(fresh, status)).status == status);
}

TEST_CASE("text that is not UTF-8 does not stop a patch") {
  const auto pod = running_pod();
  auto status = pod.status;
  status.message = "last words: \xff\xfe";
  CHECK(json::parse(pod_status_patch(pod, status))["status"]["message"] == "last words: \xEF\xBF\xBD\xEF\xBF\xBD");
}

TEST_CASE("a node patch merges maps, conditions and addresses") {
  model::Node node;
  node.metadata.name = "n";
  node.metadata.uid = "u-2";
  node.status.capacity = {{"cpu", Quantity::from_value(2)}, {"example.com/gpu", Quantity::from_value(1)}};
  node.status.addresses = {{"InternalIP", "10.0.0.1"}, {"Hostname", "n"}};
  node.status.conditions = {{.type = "Ready", .status = model::ConditionStatus::kFalse, .reason = "KubeletNotReady"}, {.type = "Foreign"}};
  CHECK(node_status_patch(node, node.status) == "{}");

  // Found by fuzzing: the second condition of a type was taken for a change of the first.
  model::Node twice = node;
  twice.status.conditions.push_back(twice.status.conditions.front());
  twice.status.conditions.back().reason = "AnotherReason";
  CHECK(node_status_patch(twice, twice.status) == "{}");

  auto status = node.status;
  status.capacity = {{"cpu", Quantity::from_value(4)}};
  status.conditions = {
      {.type = "Ready", .status = model::ConditionStatus::kTrue, .reason = "KubeletReady", .message = {}, .last_heartbeat_time = at(5)}};
  status.addresses = {{"InternalIP", "10.0.0.2"}, {"InternalIP", "fd00::2"}};
  status.images = {{{"a:1"}, 10}};
  const json patch = json::parse(node_status_patch(node, status));
  CHECK(patch["metadata"]["uid"] == "u-2");
  CHECK(patch["status"]["capacity"] == json::parse(R"({"cpu":"4","example.com/gpu":null})"));
  CHECK(patch["status"]["conditions"].size() == 1);
  CHECK_FALSE(patch["status"].contains("nodeInfo"));
  const auto merged = decode_node(merge(json::parse(encode_node(node)), patch).dump());
  REQUIRE(merged.has_value());
  CHECK(merged->status.addresses == status.addresses);
  CHECK(merged->status.conditions.size() == 2);
  CHECK(merged->status.images == status.images);
}

TEST_CASE("a metadata patch has labels and annotations only") {
  model::Node node;
  node.metadata.name = "n";
  CHECK(node_metadata_patch(node) == "{}");
  node.metadata.labels = {{"a", "b"}};
  CHECK(node_metadata_patch(node) == R"({"metadata":{"labels":{"a":"b"}}})");
}

}  // namespace pintle::codec
