// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the API does to pods beyond storing them: defaults, binding to the one node, validation, and which of their fields
// may still change. Works on raw objects so that fields unknown to the model are kept. Pure but for the clock's value given.
#pragma once

#include <string>

#include "base/time.h"
#include "standalone/api_error.h"
#include "standalone/json.h"

namespace pintle::standalone {

struct PodContext {
  std::string node_name;
  Time now;
};

// Fills in what an API server would, in place. Idempotent. REQUIRES: an object.
void apply_pod_defaults(Json& pod);
// Status of a pod that was just created: Pending, its QoS class, bound or left to the node it names.
void start_pod(Json& pod, const PodContext& context);
// 422 with a cause per field. `strict`: fields that no pod has are refused with 400.
[[nodiscard]] ApiResult<void> validate_pod(const Json& pod, bool strict);
// 422 unless only images, activeDeadlineSeconds, new tolerations and a shorter (never longer) grace period differ.
[[nodiscard]] ApiResult<void> check_pod_update(const Json& before, const Json& after);

}  // namespace pintle::standalone
