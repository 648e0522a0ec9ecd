// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/mirror_pod.h"

#include <algorithm>
#include <set>

#include "reconcile/static_pods.h"

namespace pintle::reconcile {
namespace {

bool refers_to_api(const model::ProjectedSource& source) { return !std::holds_alternative<model::DownwardApiVolume>(source); }

bool refers_to_api(const model::Volume& volume) {
  if (const auto* projected = std::get_if<model::ProjectedVolume>(&volume.source))
    return std::ranges::any_of(projected->sources, [](const auto& source) { return refers_to_api(source); });
  return std::holds_alternative<model::ConfigMapVolume>(volume.source) || std::holds_alternative<model::SecretVolume>(volume.source) ||
         std::holds_alternative<model::UnsupportedVolume>(volume.source);
}

bool refers_to_api(const model::EnvVar& variable) {
  return std::holds_alternative<model::ConfigMapKeyRef>(variable.value_from) ||
         std::holds_alternative<model::SecretKeyRef>(variable.value_from);
}

void leave_out_references(model::PodSpec& spec) {
  spec.service_account_name.clear();
  spec.automount_service_account_token = false;
  spec.image_pull_secrets.clear();
  spec.ephemeral_containers.clear();
  std::set<std::string> left_out;
  for (const auto& volume : spec.volumes)
    if (refers_to_api(volume)) left_out.insert(volume.name);
  std::erase_if(spec.volumes, [&](const auto& volume) { return left_out.contains(volume.name); });
  for (auto* list : {&spec.init_containers, &spec.containers}) {
    for (auto& container : *list) {
      container.env_from.clear();  // each one names a ConfigMap or a Secret
      std::erase_if(container.env, [](const auto& variable) { return refers_to_api(variable); });
      std::erase_if(container.volume_mounts, [&](const auto& mount) { return left_out.contains(mount.name); });
      std::erase_if(container.volume_devices, [&](const auto& device) { return left_out.contains(device.name); });
    }
  }
}

void keep_times(const std::vector<model::Condition>& before, std::vector<model::Condition>& after) {
  for (auto& condition : after) {
    const auto old = std::ranges::find(before, condition.type, &model::Condition::type);
    if (old != before.end() && old->status == condition.status && old->last_transition_time)
      condition.last_transition_time = old->last_transition_time;
  }
}

}  // namespace

model::Pod mirror_of(const model::Pod& static_pod, const std::string& node_uid) {
  model::Pod mirror;
  mirror.metadata.name = static_pod.metadata.name;
  mirror.metadata.namespace_ = static_pod.metadata.namespace_;
  mirror.metadata.labels = static_pod.metadata.labels;
  mirror.metadata.annotations = static_pod.metadata.annotations;
  mirror.metadata.annotations[std::string(kMirrorAnnotation)] = static_pod_hash(static_pod);
  if (!node_uid.empty())
    mirror.metadata.owner_references.push_back(
        {.api_version = "v1", .kind = "Node", .name = static_pod.spec.node_name, .uid = node_uid, .controller = true});
  mirror.spec = static_pod.spec;
  leave_out_references(mirror.spec);
  return mirror;
}

model::PodStatus mirror_status(const model::PodStatus& in_api, model::PodStatus wanted) {
  if (in_api.start_time && wanted.start_time) wanted.start_time = in_api.start_time;
  keep_times(in_api.conditions, wanted.conditions);
  return wanted;
}

}  // namespace pintle::reconcile
