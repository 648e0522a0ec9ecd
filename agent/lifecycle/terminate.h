// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Stopping containers: single ones that must not run on, and whole pods by grace period (facts rows 4.3–4.7, 11.2–11.8, 12.16).
// A pod's containers stop in parallel; its sidecars after all regular ones, in reverse order of the spec, within the same grace.
#pragma once

#include <string>

#include "lifecycle/context.h"

namespace pintle::lifecycle {

// Enters kTerminating; the reason is published with the terminal phase. Never left backwards.
void begin_termination(Context& ctx, std::optional<model::Phase> phase, std::string reason = {}, std::string message = {});
// Deletion, removal and the active deadline (rows 4.3, 3.9).
void check_end(Context& ctx);
// Row 4.5, for the pod as it is asked now.
[[nodiscard]] int64_t asked_grace(const model::Pod& pod);
// Takes a shorter grace over and cancels a plan that is not one of stopping, or one with a longer grace (row 4.4).
void follow_grace(Context& ctx);

// Plans the next stops of a terminating pod. False: nothing may run any more.
[[nodiscard]] bool plan_termination(Context& ctx);
// Containers of an active pod that failed a probe or a hook, whose definition changed, or whose state is unknown.
[[nodiscard]] bool plan_unwanted_stops(Context& ctx);
// Everything that may run, for a new sandbox.
[[nodiscard]] bool plan_stop_all(Context& ctx);

}  // namespace pintle::lifecycle
