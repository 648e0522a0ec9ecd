// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Whether this node takes a pod at all (facts rows 8.5–8.8). The first refusal wins. A pod that was admitted before the agent
// was restarted is not asked again: it runs.
#pragma once

#include <optional>
#include <string>

#include "lifecycle/context.h"

namespace pintle::lifecycle {

struct Refusal {
  std::string reason, message;
};
[[nodiscard]] std::optional<Refusal> admit(const PodView& view);

// What the scheduler counts for a pod: the sum of its containers and sidecars, or the highest need of an init container if that
// is more, plus overhead; and one pod.
[[nodiscard]] model::ResourceList pod_requests(const model::PodSpec& spec);

}  // namespace pintle::lifecycle
