// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "model/defaults.h"

#include <map>
#include <string_view>

namespace pintle::model {
namespace {

constexpr int32_t kFileMode = 0644;

// Always for ":latest" and for images that name neither tag nor digest, which means the same (facts row 19.2).
PullPolicy pull_policy_of(std::string_view image) {
  const size_t digest = image.find('@');
  const std::string_view name = image.substr(0, digest);
  const size_t slash = name.rfind('/');
  const size_t colon = name.find(':', slash == std::string_view::npos ? 0 : slash);
  const std::string_view tag = colon == std::string_view::npos ? std::string_view() : name.substr(colon + 1);
  if (tag == "latest" || (tag.empty() && digest == std::string_view::npos)) return PullPolicy::kAlways;
  return PullPolicy::kIfNotPresent;
}

void default_http(HttpGetAction& action) {
  if (action.path.empty()) action.path = "/";
  if (action.scheme.empty()) action.scheme = "HTTP";
}

// Zero means "not given" for these (facts row 12.2).
void default_probe(std::optional<Probe>& probe) {
  if (!probe) return;
  if (probe->timeout_seconds == 0) probe->timeout_seconds = 1;
  if (probe->period_seconds == 0) probe->period_seconds = 10;
  if (probe->success_threshold == 0) probe->success_threshold = 1;
  if (probe->failure_threshold == 0) probe->failure_threshold = 3;
  if (auto* http = std::get_if<HttpGetAction>(&probe->action)) default_http(*http);
}

void default_hook(std::optional<HookAction>& hook) {
  if (!hook) return;
  if (auto* http = std::get_if<HttpGetAction>(&*hook)) default_http(*http);
}

void default_container(Container& container, bool host_network) {
  if (!container.image_pull_policy) container.image_pull_policy = pull_policy_of(container.image);
  if (container.termination_message_path.empty()) container.termination_message_path = "/dev/termination-log";
  for (const auto& [name, limit] : container.resources.limits) container.resources.requests.try_emplace(name, limit);
  for (auto& port : container.ports)
    if (host_network && port.host_port == 0) port.host_port = port.container_port;
  for (auto* probe : {&container.liveness_probe, &container.readiness_probe, &container.startup_probe}) default_probe(*probe);
  default_hook(container.lifecycle.post_start);
  default_hook(container.lifecycle.pre_stop);
}

struct DefaultMode {
  template <typename Source>
  void operator()(Source& source) const {
    if constexpr (requires { source.default_mode; })
      if (!source.default_mode) source.default_mode = kFileMode;
  }
};

// The two resources that decide, with a request taken from the limit where there is none.
constexpr std::string_view kComputeResources[] = {"cpu", "memory"};

}  // namespace

void apply_defaults(Pod& pod) {
  if (pod.metadata.namespace_.empty()) pod.metadata.namespace_ = "default";
  PodSpec& spec = pod.spec;
  for (auto* list : {&spec.init_containers, &spec.containers, &spec.ephemeral_containers})
    for (auto& container : *list) default_container(container, spec.host_network);
  for (auto& volume : spec.volumes) std::visit(DefaultMode{}, volume.source);
  if (!pod.status.qos_class) pod.status.qos_class = qos_class(spec);
}

QosClass qos_class(const PodSpec& spec) {
  std::map<std::string_view, int64_t> requests, limits;
  bool guaranteed = true;
  for (const auto* list : {&spec.init_containers, &spec.containers}) {
    for (const auto& container : *list) {
      for (const auto name : kComputeResources) {
        const auto limit = container.resources.limits.find(std::string(name));
        const bool limited = limit != container.resources.limits.end() && !limit->second.is_zero();
        const auto request = container.resources.requests.find(std::string(name));
        const bool requested = request != container.resources.requests.end();
        if (limited) limits[name] += limit->second.milli();
        if (!limited) guaranteed = false;
        const int64_t amount = requested ? request->second.milli() : limited ? limit->second.milli() : 0;
        if (amount > 0) requests[name] += amount;
      }
    }
  }
  if (requests.empty() && limits.empty()) return QosClass::kBestEffort;
  return guaranteed && requests == limits ? QosClass::kGuaranteed : QosClass::kBurstable;
}

}  // namespace pintle::model
