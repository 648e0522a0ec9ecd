// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/pod_cgroup_limits.h"

#include <algorithm>
#include <string>

#include "lifecycle/admission.h"
#include "lifecycle/cri_resources.h"

namespace pintle::reconcile {
namespace {

int64_t milli_of(const model::ResourceList& list, const std::string& name) {
  const auto found = list.find(name);
  return found == list.end() ? 0 : found->second.milli();
}

bool is_sidecar(const model::Container& init) { return init.restart_policy == model::RestartPolicy::kAlways; }

// The limit of one resource over the whole pod, in thousandths; nullopt when a container has none. Init containers run one after
// another beside the sidecars begun before them.
std::optional<int64_t> limit_of(const model::PodSpec& spec, const std::string& name) {
  int64_t sum = 0, sidecars = 0, highest = 0;
  for (const auto& container : spec.containers) {
    if (!container.resources.limits.contains(name)) return std::nullopt;
    sum += milli_of(container.resources.limits, name);
  }
  for (const auto& init : spec.init_containers) {
    if (!init.resources.limits.contains(name)) return std::nullopt;
    const int64_t own = milli_of(init.resources.limits, name);
    if (is_sidecar(init)) sidecars += own;
    highest = std::max(highest, is_sidecar(init) ? sidecars : sidecars + own);
  }
  return std::max(sum + sidecars, highest) + milli_of(spec.overhead, name);
}

}  // namespace

ports::CgroupLimits pod_cgroup_limits(const model::PodSpec& spec, model::QosClass qos, int64_t pids_limit) {
  ports::CgroupLimits limits;
  if (pids_limit > 0) limits.pids = pids_limit;
  const int64_t cpu = milli_of(lifecycle::pod_requests(spec), "cpu");
  limits.cpu_shares = static_cast<uint64_t>(qos == model::QosClass::kBestEffort ? 2 : lifecycle::cpu_shares(cpu));
  if (qos == model::QosClass::kBestEffort) return limits;
  if (const auto quota = limit_of(spec, "cpu"); quota && *quota > 0)
    limits.cpu_quota_us = lifecycle::cpu_quota(*quota, limits.cpu_period_us);
  if (const auto memory = limit_of(spec, "memory"); memory && *memory > 0) limits.memory_bytes = *memory / 1000;
  return limits;
}

}  // namespace pintle::reconcile
