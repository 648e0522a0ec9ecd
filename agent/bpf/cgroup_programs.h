// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The cgroup object (accounting, connect) as loaded once per node, and its maps. Pinned maps of an earlier run are used again
// when their shape is right, so that counting goes on; pinned programs when they are the same code on those maps.
// Thread rule: any thread after load().
#pragma once

#include <array>
#include <optional>

#include "accounting/accounting_abi.h"
#include "bpf/kernel_object.h"
#include "bpf/layout.h"
#include "model/ebpf.h"

namespace pintle::bpf {

[[nodiscard]] uint32_t attach_type_of(model::Hook hook);

class CgroupPrograms {
 public:
  struct Sizes {
    uint32_t slots, ring_bytes;
  };
  // kUnsupported: the kernel refused, with the reason. REQUIRES: the layout's folders exist.
  [[nodiscard]] static Result<CgroupPrograms> load(const PinLayout& layout, const Sizes& sizes);

  struct Program {
    UniqueFd fd;
    ProgramInfo info;
  };
  [[nodiscard]] const Program& program(model::Hook hook) const { return programs_.at(static_cast<size_t>(hook)); }
  // Whether the counters are those of an earlier run: links of older code can then be updated in place.
  [[nodiscard]] bool maps_reused() const { return maps_reused_; }

  // The slot a cgroup counts into. The entry appears with the first program attached to it.
  [[nodiscard]] Status set_slot(CgroupId cgroup, uint32_t slot) const;
  [[nodiscard]] std::optional<uint32_t> find_slot(CgroupId cgroup) const;
  [[nodiscard]] pintle_traffic_slot& slot(uint32_t number) const { return slots_[number]; }
  [[nodiscard]] uint32_t slot_count() const { return slots_.size(); }
  [[nodiscard]] int ring_fd() const { return ring_.get(); }

 private:
  CgroupPrograms() = default;
  std::array<Program, 4> programs_;
  UniqueFd slots_fd_, slot_refs_, ring_;
  MappedArray<pintle_traffic_slot> slots_;
  bool maps_reused_ = false;
};

}  // namespace pintle::bpf
