// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/cri_resources.h"

#include <algorithm>

#include "lifecycle/admission.h"
#include "lifecycle/instances.h"
#include "model/defaults.h"

namespace pintle::lifecycle {
namespace {

constexpr int64_t kPeriod = 100000, kMinShares = 2, kMaxShares = 262144, kMinQuota = 1000;
constexpr int32_t kNodeCritical = 2000001000;  // system-node-critical

Quantity amount(const model::ResourceList& list, const char* name) {
  const auto found = list.find(name);
  return found == list.end() ? Quantity{} : found->second;
}

Quantity memory_request(const model::Container& c) {
  const auto request = c.resources.requests.find("memory");
  return request != c.resources.requests.end() ? request->second : amount(c.resources.limits, "memory");
}

model::LinuxResources linux_resources(const model::ResourceList& requests, const model::ResourceList& limits) {
  model::LinuxResources out;
  const Quantity request = amount(requests, "cpu"), limit = amount(limits, "cpu");
  out.cpu_period = kPeriod;
  out.cpu_shares = cpu_shares(requests.contains("cpu") || limit.is_zero() ? request.milli() : limit.milli());
  out.cpu_quota = cpu_quota(limit.milli(), kPeriod);
  out.memory_limit_bytes = amount(limits, "memory").value();
  return out;
}

int64_t own_oom_score(const model::Container& container, int64_t node_memory) {
  if (node_memory <= 0) return 999;
  const int64_t request = memory_request(container).value();
  const int64_t used = 1000 * request / node_memory;
  return std::clamp<int64_t>(1000 - used, 3, 999);
}

}  // namespace

int64_t cpu_shares(int64_t milli_cpu) { return std::clamp(milli_cpu * 1024 / 1000, kMinShares, kMaxShares); }

int64_t cpu_quota(int64_t milli_cpu, int64_t period_us) { return milli_cpu <= 0 ? 0 : std::max(milli_cpu * period_us / 1000, kMinQuota); }

int64_t oom_score(const model::Pod& pod, const model::Container& container, int64_t node_memory) {
  if (pod.spec.priority.value_or(0) >= kNodeCritical) return -997;
  switch (model::qos_class(pod.spec)) {
    case model::QosClass::kGuaranteed: return -997;
    case model::QosClass::kBestEffort: return 1000;
    case model::QosClass::kBurstable: break;
  }
  int64_t score = own_oom_score(container, node_memory);
  // A sidecar is not killed before the containers it serves.
  const bool sidecar = is_sidecar(container) && std::any_of(pod.spec.init_containers.begin(), pod.spec.init_containers.end(),
                                                            [&](const auto& c) { return c.name == container.name; });
  if (sidecar)
    for (const auto& regular : pod.spec.containers) score = std::min(score, own_oom_score(regular, node_memory));
  return score;
}

model::LinuxResources container_resources(const model::Pod& pod, const model::Container& container, const NodeFacts& node) {
  auto out = linux_resources(container.resources.requests, container.resources.limits);
  out.oom_score_adj = oom_score(pod, container, node.memory_capacity_bytes);
  if (node.unified_cgroups) {
    out.unified["memory.oom.group"] = "1";
    out.unified["memory.swap.max"] = "0";
  } else if (out.memory_limit_bytes > 0) {
    out.memory_swap_limit_bytes = out.memory_limit_bytes;
  }
  return out;
}

model::LinuxResources sandbox_resources(const model::Pod& pod) {
  model::PodSpec without_overhead = pod.spec;
  without_overhead.overhead.clear();
  model::ResourceList limits;
  // Limits sum up as requests do: sidecars beside the regular ones, or the highest init container.
  model::PodSpec limits_as_requests = without_overhead;
  for (auto* list : {&limits_as_requests.init_containers, &limits_as_requests.containers})
    for (auto& c : *list) c.resources.requests = c.resources.limits;
  return linux_resources(pod_requests(without_overhead), pod_requests(limits_as_requests));
}

}  // namespace pintle::lifecycle
