// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The lifecycle object (exec, exit, OOM kills), its pinned tracepoint links and its maps. An earlier run's are adopted as they are when
// they are this build's and count into the pinned slots; else loaded anew beside them, and only then the old links dropped.
// It makes slots and rings, which the cgroup object then uses. Never required: without it the runtime's own events tell of exits. Thread
// rule: the owner serializes.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "bpf/cgroup_programs.h"
#include "bpf/evidence.h"
#include "bpf/layout.h"
#include "bpf/link.h"
#include "bpf/object.h"
#include "lifecycle/lifecycle_abi.h"

namespace pintle::bpf {

class LifecyclePrograms {
 public:
  // Adopts; or makes the maps and has the loader begin with the programs, which finish() waits for and attaches.
  // kUnsupported: the kernel refused, with the reason. REQUIRES: the layout's folders exist; this outlives the loader, or finish().
  [[nodiscard]] static Result<LifecyclePrograms> load(const PinLayout& layout, const MapSizes& sizes, ProgramLoader& loader);
  [[nodiscard]] Status finish(const PinLayout& layout, ProgramLoader& loader);

  // From now on, what happens in the cgroup or below it counts for the slot. Where the hierarchy's root is not seen, all
  // levels below that of `depth` are looked at.
  [[nodiscard]] Status add_pod(CgroupId cgroup, uint32_t slot, CgroupDepth depth);
  // Absent is success.
  [[nodiscard]] Status remove_pod(CgroupId cgroup);
  [[nodiscard]] std::optional<uint32_t> find_pod(CgroupId cgroup) const;  // its slot
  [[nodiscard]] std::vector<CgroupId> list_pods() const;
  [[nodiscard]] SharedMaps shared_maps() const { return {slots_.get(), urgent_.get(), bulk_.get()}; }
  // Pins what load() made, and drops the links of a build before. REQUIRES: the cgroup object has pinned the shared maps.
  [[nodiscard]] Status commit(const PinLayout& layout);

 private:
  LifecyclePrograms() = default;
  [[nodiscard]] static Result<LifecyclePrograms> adopt(const PinLayout& layout, const MapSizes& sizes);
  [[nodiscard]] static Result<LifecyclePrograms> load_anew(const MapSizes& sizes, ProgramLoader& loader);
  void take_over_pods(const PinLayout& layout, uint32_t slots);
  [[nodiscard]] Status write_config();
  std::unique_ptr<BpfObject> object_;  // until finish()
  UniqueFd slots_, urgent_, bulk_, pods_, config_fd_;
  struct FreshLink {
    const char* name;
    BpfLink link;
    UniqueFd program;
  };
  std::vector<FreshLink> fresh_links_;  // not pinned yet
  pintle_lifecycle_config config_{};
};

}  // namespace pintle::bpf
