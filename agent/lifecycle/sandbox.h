// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// When a pod needs a new sandbox, and what comes before one (facts rows 9.1–9.3, 5.6).
#pragma once

#include "lifecycle/context.h"

namespace pintle::lifecycle {

// The newest sandbox can hold containers: ready, of the right network mode, with an address (or none needed), the only ready one.
[[nodiscard]] bool sandbox_usable(const Context& ctx, const model::ObservedSandbox& newest);
// Plans what leads to a usable sandbox, or explains why there is none. False: nothing planned.
[[nodiscard]] bool plan_sandbox(Context& ctx, const model::ObservedSandbox* newest);

}  // namespace pintle::lifecycle
