// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A plan as the words that the programs read from the pod's slot. Pure.
#pragma once

#include "lib/slot_abi.h"
#include "model/ebpf.h"

namespace pintle::bpf {

[[nodiscard]] pintle_control control_of(const model::ProgramPlan& plan);

}  // namespace pintle::bpf
