// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The pods' slots: who has which, what they count, and the words their programs go by. Counters of an earlier build's array are added
// until the pod's links count here. Not for links. Thread rule: any.
#pragma once

#include <array>
#include <functional>
#include <optional>
#include <set>
#include <vector>

#include "base/mutex.h"
#include "bpf/cgroup_programs.h"
#include "bpf/slot_table.h"

namespace pintle::bpf {

class PodSlots {
 public:
  // REQUIRES: `programs` outlives this.
  explicit PodSlots(const CgroupPrograms& programs);

  // A slot found in use by an earlier run. False: someone else has it.
  bool restore(const PodUid& uid, CgroupId cgroup, uint32_t number);
  // The pod's, or a free one with nothing counted and no words. kUnavailable: all are taken.
  [[nodiscard]] Result<uint32_t> assign(const PodUid& uid, CgroupId cgroup);
  [[nodiscard]] std::optional<uint32_t> find(const PodUid& uid) const;
  // Absent is success. The slot's words are cleared: a program that still runs decides nothing.
  void release(const PodUid& uid);

  // One 8-byte store: in force with the next packet or call.
  void set_control(uint32_t number, const pintle_control& control);
  // What was counted for it elsewhere.
  void add(uint32_t number, const pintle_traffic& tcp, const pintle_traffic& udp, const pintle_traffic& other);
  // Every link of the pod counts into the present array: what was counted before is added to it.
  void moved_over(uint32_t number);

  [[nodiscard]] Result<model::PodCounters> counters(const PodUid& uid) const;
  // Every pod's, by slot. The visitor runs under the lock: it must be brief, and not call back.
  void each(const std::function<void(const PodUid&, const model::PodCounters&)>& visit) const;
  [[nodiscard]] uint64_t events_lost() const { return events_lost(PINTLE_RING_URGENT) + events_lost(PINTLE_RING_BULK); }
  [[nodiscard]] uint64_t events_lost(pintle_ring ring) const;  // all pods, past ones too
  [[nodiscard]] uint32_t in_use() const;

  struct Owner {
    PodUid uid;  // present or last; empty: none yet
    CgroupId cgroup;
  };
  [[nodiscard]] Owner owner(uint32_t number) const;
  // The whole number of a record of that ring, of which it carries the low half.
  [[nodiscard]] uint64_t whole_sequence(uint32_t number, pintle_ring ring, uint32_t low) const;

 private:
  [[nodiscard]] model::PodCounters read(uint32_t number) const PINTLE_REQUIRES(mu_);
  const CgroupPrograms& programs_;
  mutable Mutex mu_;
  SlotTable table_ PINTLE_GUARDED_BY(mu_);
  std::vector<CgroupId> cgroups_ PINTLE_GUARDED_BY(mu_);
  std::set<uint32_t> not_moved_ PINTLE_GUARDED_BY(mu_);
  std::array<uint64_t, 2> lost_of_freed_ PINTLE_GUARDED_BY(mu_){};  // by ring
};

}  // namespace pintle::bpf
