// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The pinned links of one pod: adopted where they live, brought up to date in place, replaced where they are dead, and told.
// Not for slots, rules or policy. Thread rule: calls for one pod are serial by the caller.
#pragma once

#include <optional>
#include <set>
#include <string>

#include "bpf/cgroup_programs.h"
#include "bpf/link.h"
#include "ports/cgroup_tree.h"

namespace pintle::bpf {

// What this run knows of a pod's links.
struct PodRecord {
  CgroupId cgroup_id;
  std::string cgroup_path;          // empty: found by its pins, not yet attached by this run
  std::set<model::Hook> made_here;  // links of this run; others are adopted
  std::vector<model::HookStatus> refused;
  std::vector<std::string> notes;  // of the last attach, as its report has them
};

[[nodiscard]] std::string hook_pin(const std::string& folder, model::Hook hook);

class PodLinks {
 public:
  // `folder`: where its pins lie, `existed`: with those of an earlier attach. The programs are those in force now; one more round is due
  // if others are by the end. REQUIRES: all of them outlive this.
  PodLinks(const CgroupPrograms& programs, const ports::PodCgroup& cgroup, std::string folder, bool existed, PodRecord& record)
      : programs_(programs), set_(programs.current()), cgroup_(cgroup), folder_(std::move(folder)), existed_(existed), record_(record) {}

  // In force as a pinned link, or refused with the reason. Error: it can't be pinned.
  [[nodiscard]] Result<model::HookStatus> ensure(model::Hook hook);
  [[nodiscard]] bool outdated() const { return programs_.current() != set_; }
  // Detaches what is not among these, in the reverse of attach order.
  [[nodiscard]] Status drop_others(const std::vector<model::Hook>& wanted);

 private:
  [[nodiscard]] std::optional<model::HookStatus> keep_pinned(model::Hook hook) const;
  [[nodiscard]] model::HookStatus refusal(model::Hook hook, const Error& error) const;
  const CgroupPrograms& programs_;
  const ProgramSetPtr set_;
  const ports::PodCgroup& cgroup_;
  const std::string folder_;
  const bool existed_;
  PodRecord& record_;
};

// Reads the link back from the kernel, and what the kernel runs beside it; kOff: there never was one. `also_ours`: ids of programs of
// Pintle's on cgroups above, which are no neighbours.
[[nodiscard]] model::HookStatus inspect_link(const CgroupPrograms& programs, const std::string& folder, const PodRecord& record,
                                             model::Hook hook, const Clock& clock, std::vector<uint32_t> also_ours = {});

}  // namespace pintle::bpf
