// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Which pod counts into which slot. A freed slot is taken again only after all others, so that late records of the ring are not taken
// for another pod's. Slot 0 is nobody's. Pure; thread rule: the owner's lock.
#pragma once

#include <map>
#include <optional>
#include <vector>

#include "base/ids.h"

namespace pintle::bpf {

class SlotTable {
 public:
  explicit SlotTable(uint32_t count) : owners_(count), taken_(count, false) {}

  [[nodiscard]] std::optional<uint32_t> find(const PodUid& uid) const {
    const auto it = slots_.find(uid);
    return it == slots_.end() ? std::nullopt : std::optional(it->second);
  }
  // The pod's slot, or a free one (`fresh` is set: zero its counters). nullopt: all are taken.
  [[nodiscard]] std::optional<uint32_t> assign(const PodUid& uid, bool& fresh) {
    fresh = false;
    if (const auto found = find(uid)) return found;
    for (size_t tries = 1; tries < taken_.size(); ++tries) {
      next_ = next_ + 1 < taken_.size() ? next_ + 1 : 1;
      if (taken_[next_]) continue;
      take(uid, next_);
      fresh = true;
      return next_;
    }
    return std::nullopt;
  }
  // A slot found in use by an earlier run. False: someone else has it.
  bool restore(const PodUid& uid, uint32_t slot) {
    if (slot == 0 || slot >= taken_.size() || taken_[slot]) return false;
    take(uid, slot);
    return true;
  }
  // The last owner's name stays with the slot for late records.
  void release(const PodUid& uid) {
    const auto it = slots_.find(uid);
    if (it == slots_.end()) return;
    taken_[it->second] = false;
    slots_.erase(it);
  }
  // Present or last owner; empty: none yet.
  [[nodiscard]] PodUid owner(uint32_t slot) const { return slot < owners_.size() ? owners_[slot] : PodUid(); }
  // Present owner; null: the slot is free.
  [[nodiscard]] const PodUid* holder(uint32_t slot) const { return slot < taken_.size() && taken_[slot] ? &owners_[slot] : nullptr; }

 private:
  void take(const PodUid& uid, uint32_t slot) {
    slots_[uid] = slot;
    owners_[slot] = uid;
    taken_[slot] = true;
  }
  std::map<PodUid, uint32_t> slots_;
  std::vector<PodUid> owners_;
  std::vector<bool> taken_;
  uint32_t next_ = 0;
};

}  // namespace pintle::bpf
