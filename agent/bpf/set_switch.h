// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Carries out what set_plan.h decides: puts a loaded set in force on every pod by LINK_UPDATE, and back again when its check fails. Where a
// kernel refuses the update (another cgroup storage, bpf/link.h), a new link is attached before the old one is dropped. Pods that are being
// attached meanwhile get the set that is current by then (libbpf_attacher.cpp). Thread rule: one at a time, beside attach and detach.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "bpf/cgroup_programs.h"
#include "bpf/set_plan.h"

namespace pintle::bpf {

// Where a pod's cgroup lies, if this run knows.
struct PodPlace {
  CgroupId cgroup_id;
  std::string path;
};

class SetSwitch {
 public:
  struct Parts {
    const PinLayout& layout;
    CgroupPrograms& programs;
    std::function<std::optional<PodPlace>(const PodUid&)> place_of;
    // Whether the set does what it is for. Called before any pod has it, `first`, and again after.
    std::function<Status(const ProgramSet& set, bool first)> check;
    const Clock& clock;
  };
  explicit SetSwitch(Parts parts) : parts_(std::move(parts)) {}

  struct Outcome {
    SwitchStep end = SwitchStep::kInForce;  // a final one
    std::optional<Error> error;             // of the step that failed first
    std::vector<Error> leftovers;           // of steps after it, and of clearing up: the end is what it is, recover_set_folders() mends it
  };
  [[nodiscard]] Outcome run(const ProgramSetPtr& next);
  // Every link of every pod runs this set, but for those of which the cgroup is not known and the kernel refuses the update.
  [[nodiscard]] Status move_pods(const ProgramSetPtr& to);

 private:
  [[nodiscard]] Status carry_out(SwitchStep step, const ProgramSetPtr& before, const ProgramSetPtr& next, std::vector<Error>& leftovers);
  [[nodiscard]] Status move_link(const PodUid& uid, const std::string& pin, model::Hook hook, const ProgramSet& to);
  [[nodiscard]] Status attach_beside(const PodUid& uid, const std::string& pin, model::Hook hook, const ProgramSet& to);
  [[nodiscard]] Status check_pods(const ProgramSet& set) const;
  [[nodiscard]] Status commit(std::vector<Error>& leftovers) const;
  template <typename Act>
  [[nodiscard]] Status for_each_link(Act act) const;
  const Parts parts_;
};

struct FolderRecovery {
  bool sweep_pods = false;  // links of pods may run a set that did not make it
  std::vector<Error> leftovers;
};
// Mends the folders after a crash, before anything of them is read; does what it can. Idempotent.
[[nodiscard]] FolderRecovery recover_set_folders(const PinLayout& layout);

}  // namespace pintle::bpf
