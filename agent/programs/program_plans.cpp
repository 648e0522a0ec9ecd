// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The half of program_registry.h that faces the pods.
#include <fmt/format.h>

#include "programs/program_registry.h"

namespace pintle::programs {

using model::PlannedProgram;

namespace {

constexpr const char* kConfigSource = "kubernetes.io/config.source";

bool is_static(const model::Pod& pod) {
  const auto source = pod.metadata.annotations.find(kConfigSource);
  return source != pod.metadata.annotations.end() && source->second != "api";
}

}  // namespace

bool ProgramRegistry::all_known() const {
  for (const auto& source : options_.sources)
    if (!told_.contains(source)) return false;
  return true;
}

std::string ProgramRegistry::missing_sources() const {
  std::string text;
  for (const auto& source : options_.sources) {
    if (told_.contains(source)) continue;
    const auto trouble = troubles_.find(source);
    text += fmt::format("{}{}{}{}", text.empty() ? "" : "; ", source, trouble == troubles_.end() ? "" : ": ",
                        trouble == troubles_.end() ? "" : trouble->second);
  }
  return text;
}

std::vector<PlannedProgram> ProgramRegistry::planned_for(const Local& local) const {
  std::vector<PlannedProgram> out;
  if (local.namespace_.empty()) return out;  // a pod of which only the cgroup is known yet
  for (const auto& [name, entry] : programs_) {
    const auto& program = entry.in_force ? *entry.in_force : entry.wanted;
    if (!program.selects(local.namespace_, local.labels)) continue;
    PlannedProgram planned{name, program.hook, program.order, program.required, entry.in_force ? entry.loaded.program_id : 0, {}};
    if (!entry.in_force) planned.error = fmt::format("program '{}' ({}) was refused: {}", name, to_string(program.hook), entry.error);
    out.push_back(std::move(planned));
  }
  return out;
}

Result<model::ProgramPlan> ProgramRegistry::plan_for(const model::Pod& pod) {
  {
    const MutexLock lock(mu_);
    Local& local = pods_[pod.uid()];
    local.namespace_ = pod.metadata.namespace_;
    local.labels = pod.metadata.labels;
    local.asked = true;
    if (!all_known() && options_.hold_pods && !is_static(pod))
      return fail(Code::kUnavailable,
                  fmt::format("the node's pod programs are not all known yet ({}); the pod is held until they are", missing_sources()));
  }
  auto plan = others_.plan_for(pod);
  if (!plan) return plan;
  const MutexLock lock(mu_);
  Local& local = pods_[pod.uid()];
  local.planned = planned_for(local);
  local.all_known = all_known() && !local.namespace_.empty();
  plan->programs = local.planned;
  plan->all_programs_known = local.all_known;
  return plan;
}

void ProgramRegistry::forget(const PodUid& uid) {
  {
    const MutexLock lock(mu_);
    pods_.erase(uid);
  }
  others_.forget(uid);
}

void ProgramRegistry::set_pod(const model::Pod& pod) {
  bool changed = false;
  {
    const MutexLock lock(mu_);
    const auto known = pods_.find(pod.uid());
    if (known == pods_.end()) return;  // it has not asked yet
    Local& local = known->second;
    local.namespace_ = pod.metadata.namespace_;
    local.labels = pod.metadata.labels;
    changed = planned_for(local) != local.planned;
  }
  if (changed && out_.plan_changed) out_.plan_changed(pod.uid());
}

void ProgramRegistry::replan() {
  std::vector<PodUid> changed;
  {
    const MutexLock lock(mu_);
    for (const auto& [uid, local] : pods_)
      if (local.asked && (local.all_known != (all_known() && !local.namespace_.empty()) || planned_for(local) != local.planned))
        changed.push_back(uid);
  }
  if (!out_.plan_changed) return;
  for (const auto& uid : changed) out_.plan_changed(uid);
}

}  // namespace pintle::programs
