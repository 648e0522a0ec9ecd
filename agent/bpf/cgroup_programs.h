// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The maps that all program sets share, and the set in force on them. Pinned maps of an earlier run are used again when their shape is
// right, so that counting and policy go on; a pinned set when it is the one wanted on those maps: then nothing is loaded at all.
// Slots and rings are the lifecycle object's where that is loaded. Thread rule: any thread after load().
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "base/mutex.h"
#include "bpf/kernel_object.h"
#include "bpf/layout.h"
#include "bpf/map_sizes.h"
#include "bpf/program_set.h"

namespace pintle::bpf {

// The maps that both objects use.
struct SharedMaps {
  int slots = -1, urgent = -1, bulk = -1;
};

class CgroupPrograms {
 public:
  // `shared`: the lifecycle object's maps; none: pinned or own ones. Where an earlier run left another set in force on the same maps, that
  // one stays current() and the wanted one is fresh(). kUnsupported: the kernel refused; kInvalid: the set is none for this agent; both
  // with the reason. REQUIRES: the layout's folders exist.
  [[nodiscard]] static Result<CgroupPrograms> load(const PinLayout& layout, const MapSizes& sizes, const std::optional<SharedMaps>& shared,
                                                   const SetObject& wanted, ProgramLoader& loader);
  // What an earlier run left in force, whichever set that is. kNotFound: nothing, or not on these maps.
  [[nodiscard]] static Result<CgroupPrograms> adopt(const PinLayout& layout, const MapSizes& sizes,
                                                    const std::optional<SharedMaps>& shared);
  // Another set on the same maps, beside the one in force. kInvalid: a program or map of it is of another type or shape than ours.
  [[nodiscard]] Result<ProgramSetPtr> load_set(const SetObject& object) const;

  // What new links get. A snapshot: another thread may put a set in force at any moment.
  [[nodiscard]] ProgramSetPtr current() const;
  // `leaving`: the set that pods still have, until the next call.
  void put_in_force(ProgramSetPtr set, ProgramSetPtr leaving = nullptr);
  [[nodiscard]] std::vector<ProgramSetPtr> known() const;  // current() and the one that leaves
  [[nodiscard]] const ProgramSetPtr& fresh() const { return fresh_; }
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
  struct InForce {
    Mutex mu;
    ProgramSetPtr set PINTLE_GUARDED_BY(mu), leaving PINTLE_GUARDED_BY(mu);
  };
  CgroupPrograms() = default;
  [[nodiscard]] std::vector<std::string> find_maps(const PinLayout& layout, const MapSizes& sizes, const std::optional<SharedMaps>& shared);
  [[nodiscard]] Status map_slots();
  [[nodiscard]] SharedMapIds map_ids() const;
  [[nodiscard]] Result<BpfObject> open(const SetObject& object) const;
  std::map<std::string, MapShape> shapes_;
  std::map<std::string, UniqueFd> maps_;
  UniqueFd slots_before_;  // of an earlier run
  std::unique_ptr<InForce> in_force_ = std::make_unique<InForce>();
  ProgramSetPtr fresh_;
  MappedArray<pintle_pod_slot> slots_, previous_slots_;
  bool carry_over_ = false;
};

}  // namespace pintle::bpf
