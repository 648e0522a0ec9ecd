// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What of the runtime's answers is kept: its lists, which carry neither addresses nor exit codes, are taken together with what a
// full read told before, and labels and annotations that no rule reads are forgotten. Pure.
#pragma once

#include <memory>

#include "model/runtime.h"

namespace pintle::reconcile {

// Objects that are listed as they were known keep their details; what differs is taken from the list, undetailed.
// Returns `known` itself when nothing differs.
[[nodiscard]] std::shared_ptr<const model::ObservedPod> merge_listed(const std::shared_ptr<const model::ObservedPod>& known,
                                                                     const model::ObservedPod& listed);

// Of all labels and annotations the owner's mark and the container's hash are left: the rest says again what the pod itself says, and
// was more than half of what an observation held.
void forget_unread_marks(model::ObservedPod& pod);

}  // namespace pintle::reconcile
