// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// securityContext of pod and container as the runtime gets it (facts section 16). Pure.
#pragma once

#include "base/result.h"
#include "lifecycle/decide.h"
#include "model/runtime.h"

namespace pintle::lifecycle {

[[nodiscard]] model::LinuxSecurity sandbox_security(const model::Pod& pod);
// kInvalid: runAsNonRoot and the user is root or can't be verified (row 16.3). `target_id`: of an ephemeral container's target.
[[nodiscard]] Result<model::LinuxSecurity> container_security(const model::Pod& pod, const model::Container& container,
                                                              const NodeFacts& node, const model::ImageInfo& image,
                                                              const std::string& target_id = {});

}  // namespace pintle::lifecycle
