// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// From the programs' records and slots to the model's values. Pure.
#pragma once

#include <span>

#include "lib/event_abi.h"
#include "lib/slot_abi.h"
#include "model/ebpf.h"

namespace pintle::bpf {

// `record` starts with a pintle_event. `boot_to_wall` is wall time minus boot time at about the same moment. The sequence is left as
// the record's low half.
[[nodiscard]] model::ProgramEvent to_model(std::span<const std::byte> record, PodUid uid, Duration boot_to_wall);
[[nodiscard]] model::PodCounters to_model(const pintle_pod_slot& slot);
// Of which ring's numbers the record's is.
[[nodiscard]] pintle_ring ring_of(const pintle_event& event);

}  // namespace pintle::bpf
