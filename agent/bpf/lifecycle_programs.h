// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The lifecycle object (exec and exit), its pinned tracepoint links and its maps. An earlier run's are adopted as they are when they
// are this build's; else loaded anew beside them, counters carried over, and only then the old links dropped.
// Never required: without it the runtime's own events tell of exits. Thread rule: the owner serializes; slots may be read by any thread.
#pragma once

#include <vector>

#include "bpf/kernel_object.h"
#include "bpf/layout.h"
#include "bpf/link.h"
#include "lifecycle/lifecycle_abi.h"

namespace pintle::bpf {

class LifecyclePrograms {
 public:
  struct Sizes {
    uint32_t slots, ring_bytes;
  };
  // kUnsupported: the kernel refused, with the reason. REQUIRES: the layout's folders exist.
  [[nodiscard]] static Result<LifecyclePrograms> load(const PinLayout& layout, const Sizes& sizes);

  // From now on, what happens in the cgroup or below it counts for the slot. `level` as cgroup_level() tells it.
  [[nodiscard]] Status add_pod(CgroupId cgroup, uint32_t slot, uint32_t level);
  // Absent is success.
  [[nodiscard]] Status remove_pod(CgroupId cgroup);
  [[nodiscard]] std::vector<CgroupId> list_pods() const;
  [[nodiscard]] pintle_lifecycle_slot& slot(uint32_t number) const { return slots_[number]; }
  [[nodiscard]] int ring_fd() const { return ring_.get(); }

 private:
  LifecyclePrograms() = default;
  [[nodiscard]] static Result<LifecyclePrograms> adopt(const PinLayout& layout, const Sizes& sizes);
  [[nodiscard]] static Result<LifecyclePrograms> load_anew(const PinLayout& layout, const Sizes& sizes);
  [[nodiscard]] Status write_config();
  UniqueFd slots_fd_, pods_, config_fd_, ring_;
  MappedArray<pintle_lifecycle_slot> slots_;
  pintle_lifecycle_config config_{};
};

}  // namespace pintle::bpf
