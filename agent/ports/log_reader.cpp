// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ports/log_reader.h"

#include <vector>

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pintle::ports {
namespace {

const model::ContainerStatus* find_status(const model::PodStatus& status, const std::string& name) {
  for (const auto* list : {&status.container_statuses, &status.init_container_statuses, &status.ephemeral_container_statuses})
    for (const auto& entry : *list)
      if (entry.name == name) return &entry;
  return nullptr;
}

Result<std::string> pick_container(const model::Pod& pod, const std::string& wanted) {
  std::vector<std::string> names;
  for (const auto* list : {&pod.spec.containers, &pod.spec.init_containers, &pod.spec.ephemeral_containers})
    for (const auto& entry : *list) {
      if (entry.name == wanted) return wanted;
      names.push_back(entry.name);
    }
  if (!wanted.empty()) return fail(Code::kInvalid, fmt::format("container {} is not valid for pod {}", wanted, pod.metadata.name));
  if (pod.spec.containers.size() == 1) return pod.spec.containers[0].name;
  return fail(Code::kInvalid,
              fmt::format("a container name must be specified for pod {}, choose one of: [{}]", pod.metadata.name, fmt::join(names, " ")));
}

// The files of a static pod bear its own UID, which its mirror in the API knows as its hash (facts row 26.5).
const std::string& uid_of_files(const model::Pod& pod) {
  const auto mirrored = pod.metadata.annotations.find("kubernetes.io/config.mirror");
  return mirrored == pod.metadata.annotations.end() || mirrored->second.empty() ? pod.metadata.uid : mirrored->second;
}

bool ended(const model::ContainerState& state) {
  const auto* terminated = std::get_if<model::StateTerminated>(&state);
  return terminated != nullptr && !terminated->container_id.empty();
}

}  // namespace

Result<LogTarget> resolve_log_target(const model::Pod& pod, const std::string& container, bool previous) {
  PINTLE_ASSIGN_OR_RETURN(const std::string name, pick_container(pod, container));
  const auto where = fmt::format("container \"{}\" in pod \"{}\"", name, pod.metadata.name);
  const auto refuse = [&](std::string_view what) { return fail(Code::kInvalid, fmt::format("{} {}", where, what)); };

  const auto* status = find_status(pod.status, name);
  if (status == nullptr) {
    if (previous) return fail(Code::kInvalid, fmt::format("previous terminated {} not found", where));
    // Nothing has been published of it yet: for a reader that is the same as waiting.
    return refuse(pod.status.container_statuses.empty() ? "is waiting to start: ContainerCreating" : "is not available");
  }
  LogTarget target{pod.metadata.namespace_, pod.metadata.name, uid_of_files(pod), name, status->restart_count};
  const auto* waiting = std::get_if<model::StateWaiting>(&status->state);
  // The restart count is the attempt of the newest container. While one waits to be restarted, the newest is the one in lastState.
  const int32_t last_attempt = waiting != nullptr || status->restart_count == 0 ? status->restart_count : status->restart_count - 1;
  if (previous) {
    if (!ended(status->last_state)) return fail(Code::kInvalid, fmt::format("previous terminated {} not found", where));
    target.attempt = last_attempt;
    return target;
  }
  if (std::holds_alternative<model::StateRunning>(status->state) || ended(status->state)) return target;
  if (ended(status->last_state)) {
    target.attempt = last_attempt;
    return target;
  }
  if (std::holds_alternative<model::StateTerminated>(status->state)) return refuse("is terminated");
  if (waiting == nullptr) return refuse("is waiting to start - no logs yet");
  if (waiting->reason == "ErrImagePull") return refuse("is waiting to start: image can't be pulled");
  if (waiting->reason == "ImagePullBackOff") return refuse("is waiting to start: trying and failing to pull image");
  return refuse(fmt::format("is waiting to start: {}", waiting->reason));
}

bool may_still_log(const model::Pod& pod, const LogTarget& target) {
  if (uid_of_files(pod) != target.uid || model::is_terminal(pod.status.phase)) return false;
  const auto* status = find_status(pod.status, target.container);
  return status != nullptr && status->restart_count == target.attempt && std::holds_alternative<model::StateRunning>(status->state);
}

}  // namespace pintle::ports
