// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A pod's bounded history in words for people: what was done, how long it took, what failed. Pure.
#pragma once

#include <deque>
#include <string>

#include "lifecycle/action.h"
#include "ports/agent_view.h"

namespace pintle::reconcile {

inline constexpr size_t kTimelineEntries = 64;

// Adds an entry; one that only repeats the last one's text replaces it, and the oldest goes when it is too many.
void add_to_timeline(std::deque<ports::TimelineEntry>& timeline, ports::TimelineEntry entry);
// What an action's end is told as; empty: not worth a line (reads).
[[nodiscard]] std::string timeline_text(const lifecycle::Action& action, const lifecycle::ActionOutcome& outcome);

}  // namespace pintle::reconcile
