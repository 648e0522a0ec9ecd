// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The cgroup object (one program per hook) as loaded once per node, and its maps. Pinned maps of an earlier run are used again when
// their shape is right, so that counting and policy go on; pinned programs when they are the same code on those maps.
// Slots and rings are the lifecycle object's where that is loaded. Thread rule: any thread after load().
#pragma once

#include <array>
#include <map>
#include <optional>

#include "bpf/kernel_object.h"
#include "bpf/layout.h"
#include "bpf/map_sizes.h"
#include "model/ebpf.h"

namespace pintle::bpf {

[[nodiscard]] uint32_t attach_type_of(model::Hook hook);

// The maps that both objects use.
struct SharedMaps {
  int slots = -1, urgent = -1, bulk = -1;
};

class CgroupPrograms {
 public:
  // `shared`: the lifecycle object's maps; none: pinned or own ones. kUnsupported: the kernel refused, with the reason.
  // REQUIRES: the layout's folders exist.
  [[nodiscard]] static Result<CgroupPrograms> load(const PinLayout& layout, const MapSizes& sizes, const std::optional<SharedMaps>& shared);

  struct Program {
    UniqueFd fd;
    ProgramInfo info;
    uint32_t attach_type = 0;  // that it was loaded for
  };
  [[nodiscard]] const Program& program(model::Hook hook) const { return programs_.at(static_cast<size_t>(hook)); }
  // Whether the counters are those of an earlier run, or come after such (previous_slots): links of older code can be updated in place.
  [[nodiscard]] bool slots_carry_over() const { return carry_over_; }

  // The slot a cgroup counts into. The entry appears with the first program attached to it.
  [[nodiscard]] Status set_slot(CgroupId cgroup, uint32_t slot) const;
  [[nodiscard]] std::optional<uint32_t> find_slot(CgroupId cgroup) const;
  [[nodiscard]] pintle_pod_slot& slot(uint32_t number) const { return slots_[number]; }
  [[nodiscard]] uint32_t slot_count() const { return slots_.size(); }
  // The array of an earlier build, with the same numbering: links that were not updated yet count there. Null: none.
  [[nodiscard]] pintle_pod_slot* previous_slot(uint32_t number) const {
    return number < previous_slots_.size() ? &previous_slots_[number] : nullptr;
  }
  // By its name in the object; REQUIRES: it has one of it.
  [[nodiscard]] int map(const std::string& name) const { return maps_.at(name).get(); }
  [[nodiscard]] int urgent_fd() const { return map("urgent_events"); }
  [[nodiscard]] int bulk_fd() const { return map("bulk_events"); }

 private:
  CgroupPrograms() = default;
  std::array<Program, model::kHookCount> programs_;
  std::map<std::string, UniqueFd> maps_;
  MappedArray<pintle_pod_slot> slots_, previous_slots_;
  bool carry_over_ = false;
};

}  // namespace pintle::bpf
