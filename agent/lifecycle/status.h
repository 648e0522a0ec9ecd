// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Rolls what is seen and remembered up into what is published: container statuses (container_status.cpp), phase and
// conditions (conditions.cpp), and what of it may be told yet (status.cpp). Facts section 6. Not who sends it.
#pragma once

#include "lifecycle/context.h"

namespace pintle::lifecycle {

// All three lists, in the order of row 6.24.
void fill_container_statuses(Context& ctx, model::PodStatus& status);
// Row 6.9. `ended`: nothing will be started again (the pod is terminating finally). `memory` knows the containers that were
// stopped to be started again whatever the policy (row 9.8).
[[nodiscard]] model::Phase roll_up_phase(const model::Pod& pod, const model::PodStatus& status, bool ended, const PodMemory& memory);
// Row 6.3–6.8 and our own pintle.dev/ProgramsAttached; transition times are taken over from what was published.
void fill_conditions(Context& ctx, model::PodStatus& status);
// Forces Ready and ContainersReady to False for a terminal phase (row 6.10).
void force_unready(Context& ctx, model::PodStatus& status, model::Phase phase);

// The whole status as things stand; its phase may be terminal while containers run.
[[nodiscard]] model::PodStatus current_status(Context& ctx);
// `status` as it may be told now: a terminal phase is withheld until no container can run, Running until required programs
// are effective; a terminal phase that was told stays (row 6.10).
void publish(Context& ctx, model::PodStatus status);
// The last word on the pod once nothing runs (rows 6.9, 6.27): no container is left without an end.
void finalize(Context& ctx, model::PodStatus status);
// Nothing new is known: what was published stands.
void keep_status(Context& ctx);

// Row 6.16: the runtime's own message and the text the container left.
[[nodiscard]] std::string join_messages(const std::string& runtime_message, const std::string& left);
// The text for `status.message`: the file, or the end of the log when policy and exit code ask for it; each cut to its share.
struct TerminationSources {
  std::string file, log_tail;
};
[[nodiscard]] std::string termination_message(const model::Container& container, int32_t exit_code, const TerminationSources& sources,
                                              size_t containers_in_pod);

}  // namespace pintle::lifecycle
