// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Builds what the runtime is asked for from a pod, exactly as the kubelet does, so that other tools read it (facts rows 9.8, 9.11,
// 17.1–17.8, 18.9). Pure: images, addresses, environment and mounts are given. Not here: fetching and mounting them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "lifecycle/container_hash.h"
#include "lifecycle/decide.h"
#include "lifecycle/dns.h"
#include "lifecycle/env.h"
#include "model/runtime.h"

namespace pintle::lifecycle {

// "/var/log/pods/NS_NAME_UID"
[[nodiscard]] std::string pod_log_directory(const model::Pod& pod, const NodeFacts& node);

// kInvalid: no hostname can be made (row 18.9).
[[nodiscard]] Result<model::SandboxConfig> make_sandbox_config(const model::Pod& pod, const NodeFacts& node,
                                                               const std::string& cgroup_parent, uint32_t attempt);

struct ContainerInputs {
  model::ImageInfo image;
  uint32_t attempt = 0;
  EnvList env;
  std::vector<model::Mount> mounts;
  std::string target_id;  // of an ephemeral container's target
};
// kInvalid: what the container asks for can't be (CreateContainerConfigError).
[[nodiscard]] Result<model::ContainerConfig> make_container_config(const model::Pod& pod, const model::Container& container,
                                                                   const NodeFacts& node, ContainerInputs inputs);

}  // namespace pintle::lifecycle
