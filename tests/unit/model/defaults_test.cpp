// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "model/defaults.h"

#include <catch2/catch_test_macros.hpp>

namespace pintle::model {
namespace {

ResourceList resources(std::initializer_list<std::pair<const char*, const char*>> values) {
  ResourceList out;
  for (const auto& [name, text] : values) out[name] = Quantity::parse(text).value();
  return out;
}

Pod pod_with(Container container) {
  Pod pod;
  pod.metadata.name = "p";
  pod.spec.containers.push_back(std::move(container));
  return pod;
}

PullPolicy policy_of(const std::string& image) {
  Container container;
  container.image = image;
  Pod pod = pod_with(container);
  apply_defaults(pod);
  return *pod.spec.containers[0].image_pull_policy;
}

QosClass qos(std::initializer_list<Resources> containers) {
  PodSpec spec;
  for (const auto& value : containers) spec.containers.emplace_back().resources = value;
  return qos_class(spec);
}

}  // namespace

TEST_CASE("pull policy follows the tag") {
  CHECK(policy_of("busybox") == PullPolicy::kAlways);
  CHECK(policy_of("busybox:latest") == PullPolicy::kAlways);
  CHECK(policy_of("busybox:1.36") == PullPolicy::kIfNotPresent);
  CHECK(policy_of("registry:5000/busybox") == PullPolicy::kAlways);
  CHECK(policy_of("registry:5000/busybox:1") == PullPolicy::kIfNotPresent);
  CHECK(policy_of("busybox@sha256:0123") == PullPolicy::kIfNotPresent);
  CHECK(policy_of("busybox:latest@sha256:0123") == PullPolicy::kAlways);
}

TEST_CASE("what is given stays, what is missing is filled in") {
  Container container;
  container.image = "x";
  container.image_pull_policy = PullPolicy::kNever;
  container.resources.limits = resources({{"cpu", "1"}, {"memory", "1Gi"}});
  container.resources.requests = resources({{"cpu", "100m"}});
  container.termination_message_path.clear();
  container.ports.push_back({.name = {}, .host_ip = {}, .container_port = 80});
  Probe probe{.action = HttpGetAction{.path = {}, .host = {}, .scheme = {}},
              .timeout_seconds = 0,
              .period_seconds = 0,
              .success_threshold = 0,
              .failure_threshold = 0};
  container.readiness_probe = probe;
  container.lifecycle.pre_stop = HttpGetAction{.path = {}, .host = {}, .scheme = {}};
  Pod pod = pod_with(container);
  pod.metadata.namespace_.clear();
  pod.spec.volumes = {{"a", ConfigMapVolume{.name = "c"}},
                      {"b", SecretVolume{.name = "s", .items = {}, .default_mode = 0400}},
                      {"c", ProjectedVolume{}},
                      {"d", EmptyDirVolume{}}};
  apply_defaults(pod);

  const Container& out = pod.spec.containers[0];
  CHECK(pod.metadata.namespace_ == "default");
  CHECK(out.image_pull_policy == PullPolicy::kNever);
  CHECK(out.resources.requests.at("cpu").milli() == 100);
  CHECK(out.resources.requests.at("memory").text() == "1Gi");
  CHECK(out.termination_message_path == "/dev/termination-log");
  CHECK(out.ports[0].host_port == 0);
  CHECK(out.readiness_probe->timeout_seconds == 1);
  CHECK(out.readiness_probe->period_seconds == 10);
  CHECK(out.readiness_probe->success_threshold == 1);
  CHECK(out.readiness_probe->failure_threshold == 3);
  CHECK(std::get<HttpGetAction>(out.readiness_probe->action).path == "/");
  CHECK(std::get<HttpGetAction>(*out.lifecycle.pre_stop).scheme == "HTTP");
  CHECK(std::get<ConfigMapVolume>(pod.spec.volumes[0].source).default_mode == 0644);
  CHECK(std::get<SecretVolume>(pod.spec.volumes[1].source).default_mode == 0400);
  CHECK(std::get<ProjectedVolume>(pod.spec.volumes[2].source).default_mode == 0644);
  CHECK(pod.status.qos_class == QosClass::kBurstable);

  const Pod once = pod;
  apply_defaults(pod);
  CHECK(pod == once);
}

TEST_CASE("host network publishes every port on the host") {
  Container container;
  container.ports.push_back({.name = {}, .host_ip = {}, .container_port = 80});
  Pod pod = pod_with(container);
  pod.spec.host_network = true;
  apply_defaults(pod);
  CHECK(pod.spec.containers[0].ports[0].host_port == 80);
}

TEST_CASE("QoS class") {
  const auto both = resources({{"cpu", "1"}, {"memory", "1Gi"}});
  const auto less = resources({{"cpu", "500m"}, {"memory", "1Gi"}});
  CHECK(qos({{}}) == QosClass::kBestEffort);
  CHECK(qos({{.limits = both, .requests = both}}) == QosClass::kGuaranteed);
  CHECK(qos({{.limits = both, .requests = {}}}) == QosClass::kGuaranteed);
  CHECK(qos({{.limits = both, .requests = less}}) == QosClass::kBurstable);
  CHECK(qos({{.limits = both, .requests = both}, {}}) == QosClass::kBurstable);
  CHECK(qos({{.limits = {}, .requests = less}}) == QosClass::kBurstable);
  CHECK(qos({{.limits = resources({{"memory", "1Gi"}}), .requests = {}}}) == QosClass::kBurstable);
  CHECK(qos({{.limits = resources({{"cpu", "0"}}), .requests = resources({{"cpu", "0"}})}}) == QosClass::kBestEffort);
  CHECK(qos({{.limits = resources({{"ephemeral-storage", "1Gi"}}), .requests = {}}}) == QosClass::kBestEffort);
  CHECK(qos({{.limits = resources({{"cpu", "1000m"}, {"memory", "1024Mi"}}), .requests = both}}) == QosClass::kGuaranteed);

  // Init containers count, ephemeral ones don't.
  PodSpec spec;
  spec.containers.emplace_back().resources = {both, both};
  spec.ephemeral_containers.emplace_back();
  CHECK(qos_class(spec) == QosClass::kGuaranteed);
  spec.init_containers.emplace_back();
  CHECK(qos_class(spec) == QosClass::kBurstable);
}

}  // namespace pintle::model
