// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The status of one container (facts rows 6.11–6.19, 10.1). Pure.
#pragma once

#include <string>

#include "lifecycle/context.h"

namespace pintle::lifecycle {

[[nodiscard]] model::ContainerStatus container_status(Context& ctx, const model::Container& container, ContainerKind kind);
// "back-off 10s restarting failed container=web pod=web_default(uid)"
[[nodiscard]] std::string crash_loop_message(const Context& ctx, const std::string& container, Duration delay);

}  // namespace pintle::lifecycle
