// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// When which probe runs and what its results mean (facts section 12). Initial values: readiness failed, liveness good, startup
// unknown; a container that was running before the agent started keeps what was published of it (row 12.3) until a threshold
// of contrary results is reached. Not how a probe is made: that is ports/prober.h.
#pragma once

#include "lifecycle/context.h"

namespace pintle::lifecycle {

[[nodiscard]] std::string_view to_string(ProbeKind kind);  // "Readiness", as in events
[[nodiscard]] std::string probe_key(ProbeKind kind, const std::string& container);
[[nodiscard]] const model::Probe* probe_of(const model::Container& container, ProbeKind kind);

[[nodiscard]] bool startup_passed(const PodMemory& memory, const model::Container& container, const ContainerId& id);
[[nodiscard]] bool readiness_passed(const PodMemory& memory, const model::Container& container, const ContainerId& id);

// Ties probe memory to the containers that run now: new instances start anew, those of before the agent's start adopt what
// was published, those that are gone are forgotten. Before the status is made.
void sync_probes(Context& ctx);
// Asks for the probes that are due. `started` is taken from `status`.
void schedule_probes(Context& ctx, const model::PodStatus& status);

}  // namespace pintle::lifecycle
