// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Finds the instances of a container and the sandbox that count among all that the runtime holds of a pod. Pure look-ups.
#pragma once

#include <string>

#include "model/runtime.h"
#include "model/status.h"

namespace pintle::lifecycle {

[[nodiscard]] const model::ObservedSandbox* newest_sandbox(const model::ObservedPod& pod);
// The newest instance of a container, in whichever sandbox; null when there is none.
[[nodiscard]] const model::ObservedContainer* newest_instance(const model::ObservedPod& pod, const std::string& name);
// The one before `instance` (row 6.13).
[[nodiscard]] const model::ObservedContainer* previous_instance(const model::ObservedPod& pod, const model::ObservedContainer& instance);
// Newer by attempt; two of one attempt by the time of creation.
[[nodiscard]] bool newer(const model::ObservedContainer& a, const model::ObservedContainer& b);

[[nodiscard]] inline bool may_run(const model::ObservedContainer& c) {
  return c.state == model::RunState::kRunning || c.state == model::RunState::kUnknown;
}
[[nodiscard]] bool may_have_running_containers(const model::ObservedPod& pod);

[[nodiscard]] inline bool is_sidecar(const model::Container& init) { return init.restart_policy == model::RestartPolicy::kAlways; }
[[nodiscard]] inline model::RestartPolicy effective_policy(const model::PodSpec& spec, const model::Container& container) {
  return container.restart_policy.value_or(spec.restart_policy);
}

[[nodiscard]] const model::ContainerStatus* find_status(const std::vector<model::ContainerStatus>& list, const std::string& name);
// Looks in regular, init and ephemeral statuses.
[[nodiscard]] const model::ContainerStatus* find_status(const model::PodStatus& status, const std::string& name);
// "containerd://ID" -> "ID"
[[nodiscard]] std::string_view bare_id(std::string_view id);

}  // namespace pintle::lifecycle
