// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "policy/cluster.h"

#include <algorithm>

namespace pintle::policy {

Labels Cluster::shared(const model::StringMap& labels) {
  if (labels_.size() >= sweep_at_) {
    std::erase_if(labels_, [](const auto& entry) { return entry.second.expired(); });
    sweep_at_ = std::max<size_t>(256, labels_.size() * 2);
  }
  auto& known = labels_[labels];
  if (auto found = known.lock()) return found;
  auto made = std::make_shared<const model::StringMap>(labels);
  known = made;
  return made;
}

bool Cluster::set_pod(const model::PodView& pod) {
  if (pod.terminal || pod.host_network || pod.ips.empty()) return remove_pod(pod.namespace_, pod.name);
  ClusterPod fresh{shared(pod.labels), pod.ips, pod.ports};
  auto& space = pods_[pod.namespace_];
  const auto [at, is_new] = space.try_emplace(pod.name, fresh);
  if (is_new) return true;
  if (at->second == fresh) return false;
  at->second = std::move(fresh);
  return true;
}

bool Cluster::remove_pod(const std::string& namespace_, const std::string& name) {
  const auto space = pods_.find(namespace_);
  if (space == pods_.end() || space->second.erase(name) == 0) return false;
  if (space->second.empty()) pods_.erase(space);
  return true;
}

void Cluster::clear_pods() { pods_.clear(); }

bool Cluster::set_namespace(const model::NamespaceView& space) {
  const auto [at, is_new] = namespaces_.try_emplace(space.name, space.labels);
  if (!is_new && at->second == space.labels) return false;
  at->second = space.labels;
  return true;
}

bool Cluster::remove_namespace(const std::string& name) { return namespaces_.erase(name) > 0; }

bool Cluster::set_service(const model::ServiceView& service) {
  Service& kept = services_[service.namespace_][service.name];
  if (kept.cluster_ips == service.cluster_ips && kept.ports == service.ports) return false;
  kept.cluster_ips = service.cluster_ips;
  kept.ports = service.ports;
  return true;
}

bool Cluster::remove_service(const std::string& namespace_, const std::string& name) {
  const auto space = services_.find(namespace_);
  const auto found = space == services_.end() ? decltype(space->second.end()){} : space->second.find(name);
  if (space == services_.end() || found == space->second.end()) return false;
  found->second.cluster_ips.clear();
  found->second.ports.clear();
  if (found->second.slices.empty()) space->second.erase(found);  // its slices go by themselves
  return true;
}

bool Cluster::set_slice(const model::EndpointSliceView& slice) {
  const auto key = std::pair(slice.namespace_, slice.name);
  const auto owner = slice_owner_.find(key);
  bool changed = false;
  if (owner != slice_owner_.end() && owner->second != slice.service) changed = remove_slice(slice.namespace_, slice.name);
  if (slice.service.empty()) return changed;
  slice_owner_[key] = slice.service;
  auto& slices = services_[slice.namespace_][slice.service].slices;
  const auto [at, is_new] = slices.try_emplace(slice.name, slice);
  if (!is_new && at->second == slice) return changed;
  at->second = slice;
  return true;
}

bool Cluster::remove_slice(const std::string& namespace_, const std::string& name) {
  const auto owner = slice_owner_.find({namespace_, name});
  if (owner == slice_owner_.end()) return false;
  auto& space = services_[namespace_];
  if (const auto service = space.find(owner->second); service != space.end()) {
    service->second.slices.erase(name);
    if (service->second.slices.empty() && service->second.cluster_ips.empty() && service->second.ports.empty()) space.erase(service);
  }
  slice_owner_.erase(owner);
  return true;
}

const ClusterPod* Cluster::find_pod(const std::string& namespace_, const std::string& name) const {
  const auto space = pods_.find(namespace_);
  if (space == pods_.end()) return nullptr;
  const auto pod = space->second.find(name);
  return pod == space->second.end() ? nullptr : &pod->second;
}

std::string Cluster::pod_at(const model::IpAddress& address) const {
  for (const auto& [space, pods] : pods_)
    for (const auto& [name, pod] : pods)
      if (std::ranges::find(pod.ips, address) != pod.ips.end()) return space + "/" + name;
  return "";
}

model::StringMap Cluster::namespace_labels(const std::string& name) const {
  model::StringMap labels;
  if (const auto found = namespaces_.find(name); found != namespaces_.end()) labels = found->second;
  labels.try_emplace("kubernetes.io/metadata.name", name);
  return labels;
}

}  // namespace pintle::policy
