// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Objects as a real API server and kubelet left them, decoded and encoded again: all that the model keeps must be there
// unchanged, and nothing may be there that was not. What the model does not keep is listed here by name.
#include <fstream>
#include <sstream>

#include <catch2/catch_test_macros.hpp>
#include <nlohmann/json.hpp>

#include "codec/objects.h"

namespace pintle::codec {
namespace {

using nlohmann::json;

std::string golden(const std::string& name) {
  std::ifstream file(std::string(GOLDEN_DIR) + "/" + name);
  REQUIRE(file.good());
  std::ostringstream out;
  out << file.rdbuf();
  return out.str();
}

void drop(json& object, std::initializer_list<const char*> names) {
  for (const char* name : names) object.erase(name);
}

// The golden object without the fields that the model does not keep.
json kept_pod(const std::string& text) {
  json pod = json::parse(text);
  drop(pod["spec"], {"preemptionPolicy", "schedulerName"});
  drop(pod["status"], {"allocatedResources", "resources"});
  for (const char* list : {"containerStatuses", "initContainerStatuses"})
    if (pod["status"].contains(list))
      for (auto& status : pod["status"][list]) status.erase("user");
  return pod;
}

}  // namespace

TEST_CASE("pods of a real cluster come back as they were") {
  for (const std::string name : {"pod-rich.json", "pod-fails.json", "pod-hostnet.json", "pod-userns.json", "pod-hello.json"}) {
    INFO(name);
    const std::string text = golden(name);
    const auto pod = decode_pod(text, {.origin = name, .unknown_fields = UnknownFields::kRefuse});
    REQUIRE((pod ? std::string() : pod.error().context).empty());
    const json expected = kept_pod(text);
    const json actual = json::parse(encode_pod(*pod));
    CHECK(json::diff(expected, actual).dump(1) == "[]");
    const auto again = decode_pod(encode_pod(*pod));
    REQUIRE(again.has_value());
    CHECK(*again == *pod);
  }
}

TEST_CASE("a pod's fields arrive in the model") {
  const auto pod = decode_pod(golden("pod-rich.json"));
  REQUIRE(pod.has_value());
  CHECK(pod->full_name() == "default/rich");
  CHECK(pod->spec.security_context.sysctls.at("net.ipv4.ip_unprivileged_port_start") == "80");
  REQUIRE(pod->spec.init_containers.size() == 2);
  CHECK(pod->spec.init_containers[1].restart_policy == model::RestartPolicy::kAlways);
  const auto& main = pod->spec.containers.at(0);
  CHECK(main.resources.limits.at("cpu").milli() == 500);
  REQUIRE(main.readiness_probe.has_value());
  CHECK(std::get<std::string>(std::get<model::HttpGetAction>(main.readiness_probe->action).port) == "http");
  CHECK(std::get<int64_t>(std::get<model::TcpSocketAction>(main.liveness_probe->action).port) == 8080);
  CHECK(std::get<model::SecretVolume>(pod->spec.volumes.at(3).source).name == "s1");
  CHECK(std::get<model::ProjectedVolume>(pod->spec.volumes.back().source).sources.size() == 4);
  CHECK(pod->status.pod_ips == std::vector<std::string>{"10.244.0.68"});
  CHECK(std::get<model::StateTerminated>(pod->status.init_container_statuses.at(0).state).reason == "Completed");
}

TEST_CASE("a node of a real cluster comes back as it was") {
  const std::string text = golden("node.json");
  const auto node = decode_node(text, {.origin = "node.json", .unknown_fields = UnknownFields::kRefuse});
  REQUIRE((node ? std::string() : node.error().context).empty());
  json expected = json::parse(text);
  expected["status"].erase("declaredFeatures");
  CHECK(json::diff(expected, json::parse(encode_node(*node))).dump(1) == "[]");
  CHECK(node->metadata.namespace_.empty());
  CHECK(node->status.kubelet_port == 10250);
}

TEST_CASE("a lease keeps its microseconds") {
  const std::string text = golden("lease.json");
  const auto lease = decode_lease(text);
  REQUIRE(lease.has_value());
  CHECK(json::diff(json::parse(text), json::parse(encode_lease(*lease))).dump(1) == "[]");
}

TEST_CASE("an event reads back what was sent") {
  const auto real = decode_event(golden("event.json"));
  REQUIRE(real.has_value());
  CHECK(real->event.reason == "FailedCreatePodSandBox");
  CHECK(real->component == "kubelet");
  CHECK(real->count == 9);
  const auto again = decode_event(encode_event(*real));
  REQUIRE(again.has_value());
  CHECK(again->event == real->event);
  CHECK(again->first_time == real->first_time);
  CHECK(again->last_time == real->last_time);
  CHECK(again->name == real->name);
}

}  // namespace pintle::codec
