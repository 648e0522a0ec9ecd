// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// From the rings' records to the observer's events, on a thread of its own that lives from the first observer on: what was recorded
// while no agent ran waits in the rings until somebody listens. The callback must not call observe(). Thread rule: any.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "base/time.h"
#include "bpf/event_pump.h"
#include "bpf/pod_slots.h"

namespace pintle::bpf {

class EventReader {
 public:
  using Observer = std::function<void(const model::ProgramEvent&)>;
  // REQUIRES: all of them outlive this.
  EventReader(const CgroupPrograms& programs, const PodSlots& slots, const Clock& clock, Duration bulk_batch);
  // Null to clear; waits for the last call.
  void observe(Observer observer);
  // A pod's cgroup was removed; heard of while events are observed. Null to clear; waits for the last call.
  void on_cgroup_gone(std::function<void(CgroupId)> observer);
  // Records read of that ring, of pods and of none.
  [[nodiscard]] uint64_t received(pintle_ring ring) const { return received_[ring].load(std::memory_order_relaxed); }

 private:
  void deliver(std::span<const std::byte> record);
  // From the last one that was read, not from the slot: its cache line is the programs', who write there at each event.
  [[nodiscard]] uint64_t whole_sequence(const pintle_event& event, CgroupId owner);
  // What is to be added to the kernel's time of an event for the wall clock's, which is set now and then. The pump's thread alone.
  [[nodiscard]] Duration boot_to_wall(uint64_t boot_ns);
  const CgroupPrograms& programs_;
  const PodSlots& slots_;
  const Clock& clock_;
  const Duration bulk_batch_;
  Mutex mu_;  // held while the callback runs
  Observer observer_ PINTLE_GUARDED_BY(mu_);
  std::function<void(CgroupId)> cgroup_gone_ PINTLE_GUARDED_BY(mu_);
  struct Last {
    std::optional<CgroupId> owner;  // whose numbers they are
    uint64_t sequence = 0;
  };
  std::vector<std::array<Last, 2>> last_;            // by slot and ring; the pump's thread alone
  std::array<std::atomic<uint64_t>, 2> received_{};  // written by the pump's thread alone
  std::optional<Duration> offset_;
  uint64_t offset_from_ = 0;
  std::unique_ptr<EventPump> pump_;  // last: its thread uses the rest
};

}  // namespace pintle::bpf
