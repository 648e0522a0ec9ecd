// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The way of an active pod towards what its spec asks for, one plan at a time: stop what must not run, cgroup, programs,
// volumes and images, sandbox, ephemeral, init and sidecar containers in order, regular containers in spec order, then
// housekeeping of old records (facts rows 9.1–9.10, 20.1; design: how a pod flows).
#pragma once

#include "lifecycle/context.h"

namespace pintle::lifecycle {

// Puts the next step into the plan, or explains what is waited for. REQUIRES: stage kActive, no plan running.
void plan_sync(Context& ctx, const model::PodStatus& status);

// Whether the container has to be started, now or after a wait (rows 9.5–9.7).
[[nodiscard]] bool will_be_started(const Context& ctx, const model::Container& container, ContainerKind kind,
                                   const model::ObservedContainer* instance);

// Addresses of the newest sandbox; lists carry none, so those of the last full read are kept.
[[nodiscard]] const std::vector<std::string>& sandbox_ips(const Context& ctx);
// Row 6.21: the node's family first, one of each.
[[nodiscard]] std::vector<std::string> pod_ips(const Context& ctx);

// ErrImagePull and its kin turn into ImagePullBackOff; the other image errors keep their name (row 6.11).
[[nodiscard]] bool is_pull_failure(const std::string& reason);
// The kubelet shows ErrImagePull until it looks again and finds the back-off. We have no tick: half the wait, at most 5 s.
[[nodiscard]] Time image_backoff_shows_at(const Wait& wait);
[[nodiscard]] inline bool image_backoff_shown(const Wait& wait, Time now) { return now >= image_backoff_shows_at(wait); }

}  // namespace pintle::lifecycle
