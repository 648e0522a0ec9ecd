// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// From a ring's record to the model's event. Pure.
#pragma once

#include "lib/event_abi.h"
#include "model/ebpf.h"

namespace pintle::bpf {

// `boot_to_wall` is wall time minus boot time at about the same moment.
[[nodiscard]] model::ProgramEvent to_model(const pintle_event& event, const PodUid& uid, Duration boot_to_wall);

}  // namespace pintle::bpf
