// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Takes the runtime's lists, which carry neither addresses nor exit codes, together with what a full read told before. Pure.
#pragma once

#include <memory>

#include "model/runtime.h"

namespace pintle::reconcile {

// Objects that are listed as they were known keep their details; what differs is taken from the list, undetailed.
// Returns `known` itself when nothing differs.
[[nodiscard]] std::shared_ptr<const model::ObservedPod> merge_listed(const std::shared_ptr<const model::ObservedPod>& known,
                                                                     const model::ObservedPod& listed);

}  // namespace pintle::reconcile
