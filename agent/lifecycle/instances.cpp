// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/instances.h"

namespace pintle::lifecycle {

bool newer(const model::ObservedContainer& a, const model::ObservedContainer& b) {
  return a.attempt != b.attempt ? a.attempt > b.attempt : a.created_at > b.created_at;
}

const model::ObservedSandbox* newest_sandbox(const model::ObservedPod& pod) {
  const model::ObservedSandbox* best = nullptr;
  for (const auto& sandbox : pod.sandboxes)
    if (best == nullptr || sandbox.attempt > best->attempt || (sandbox.attempt == best->attempt && sandbox.created_at > best->created_at))
      best = &sandbox;
  return best;
}

const model::ObservedContainer* newest_instance(const model::ObservedPod& pod, const std::string& name) {
  const model::ObservedContainer* best = nullptr;
  for (const auto& container : pod.containers)
    if (container.name == name && (best == nullptr || newer(container, *best))) best = &container;
  return best;
}

const model::ObservedContainer* previous_instance(const model::ObservedPod& pod, const model::ObservedContainer& instance) {
  const model::ObservedContainer* best = nullptr;
  for (const auto& container : pod.containers)
    if (container.name == instance.name && newer(instance, container) && (best == nullptr || newer(container, *best))) best = &container;
  return best;
}

bool may_have_running_containers(const model::ObservedPod& pod) {
  for (const auto& container : pod.containers)
    if (may_run(container)) return true;
  return false;
}

const model::ContainerStatus* find_status(const std::vector<model::ContainerStatus>& list, const std::string& name) {
  for (const auto& status : list)
    if (status.name == name) return &status;
  return nullptr;
}

const model::ContainerStatus* find_status(const model::PodStatus& status, const std::string& name) {
  if (const auto* found = find_status(status.container_statuses, name)) return found;
  if (const auto* found = find_status(status.init_container_statuses, name)) return found;
  return find_status(status.ephemeral_container_statuses, name);
}

std::string_view bare_id(std::string_view id) {
  const auto at = id.find("://");
  return at == std::string_view::npos ? id : id.substr(at + 3);
}

}  // namespace pintle::lifecycle
