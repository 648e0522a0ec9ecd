// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/action.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::lifecycle {
namespace {

struct Describe {
  std::string operator()(const EnsureCgroup&) const { return "make the pod's cgroup"; }
  std::string operator()(const FindCgroup&) const { return "find the pod's cgroup"; }
  std::string operator()(const AttachPrograms&) const { return "attach eBPF programs"; }
  std::string operator()(const MountVolumes&) const { return "mount volumes"; }
  std::string operator()(const EnsureImage& a) const { return fmt::format("ensure image '{}' for container '{}'", a.image, a.container); }
  std::string operator()(const RunSandbox& a) const { return fmt::format("run sandbox (attempt {})", a.attempt); }
  std::string operator()(const StartContainer& a) const { return fmt::format("start container '{}' (attempt {})", a.name, a.attempt); }
  std::string operator()(const StopContainer& a) const { return fmt::format("stop container '{}' (grace {}s)", a.name, a.grace.count()); }
  std::string operator()(const RemoveContainer& a) const { return fmt::format("remove container '{}'", a.id.value()); }
  std::string operator()(const StopSandbox& a) const { return fmt::format("stop sandbox '{}'", a.id.value()); }
  std::string operator()(const RemoveSandbox& a) const { return fmt::format("remove sandbox '{}'", a.id.value()); }
  std::string operator()(const InspectPod&) const { return "read the pod back from the runtime"; }
  std::string operator()(const UnmountVolumes&) const { return "unmount volumes"; }
  std::string operator()(const DetachPrograms&) const { return "detach eBPF programs"; }
  std::string operator()(const RemoveCgroup&) const { return "remove the pod's cgroup"; }
  std::string operator()(const RemoveFiles&) const { return "remove the pod's logs and directory"; }
};

}  // namespace

std::string describe(const Action& action) { return std::visit(Describe{}, action); }

std::string attach_failure(const model::ProgramPlan& plan) {
  return std::string(std::ranges::any_of(plan.programs, &model::PlannedProgram::required) ? kRequiredProgramsRefused : "");
}

}  // namespace pintle::lifecycle
