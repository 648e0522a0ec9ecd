// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the core can ask to be done to a pod, and what comes back. Actions are values: the executor (reconcile) carries
// them out through ports, every one of them idempotent, so that a crash between the act and its record costs a repetition.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/result.h"
#include "model/ebpf.h"
#include "model/runtime.h"
#include "model/status.h"

namespace pintle::lifecycle {

enum class ContainerKind { kInit, kRegular, kEphemeral };

// Makes and limits the pod's cgroup. Outcome: CgroupReady.
struct EnsureCgroup {
  bool operator==(const EnsureCgroup&) const = default;
};
// Looks for the cgroup that a kubelet makes for the pod. Outcome: CgroupReady; none: it is not there.
struct FindCgroup {
  bool operator==(const FindCgroup&) const = default;
};
// Puts the pod's program plan (ports/program_planner.h) in force. Outcome: AttachReport. REQUIRES: EnsureCgroup or FindCgroup has succeeded
// in this process.
struct AttachPrograms {
  bool operator==(const AttachPrograms&) const = default;
};
// Directories, volumes, /etc/hosts. Repeated to refresh.
struct MountVolumes {
  bool operator==(const MountVolumes&) const = default;
};
// Makes the image present by the policy. Outcome: ImageInfo.
struct EnsureImage {
  std::string container, image;
  model::PullPolicy policy = model::PullPolicy::kIfNotPresent;
  bool operator==(const EnsureImage&) const = default;
};
// Outcome: the pod as read back.
struct RunSandbox {
  uint32_t attempt = 0;
  bool operator==(const RunSandbox&) const = default;
};
// Create, start, then postStart. Outcome: the pod as read back; on failure `reason` is the waiting reason of row 6.11.
struct StartContainer {
  std::string name;
  ContainerKind kind = ContainerKind::kRegular;
  uint32_t attempt = 0;
  model::ImageInfo image;
  bool operator==(const StartContainer& other) const { return name == other.name && kind == other.kind && attempt == other.attempt; }
};
// preStop (when asked), then the runtime's stop. Outcome: the pod as read back.
struct StopContainer {
  ContainerId id;
  std::string name;
  std::chrono::seconds grace{30};  // for preStop and the stop together; never under 2 s to the runtime (row 11.5)
  bool run_pre_stop = true;
  std::string message;  // of the Killing event
  bool operator==(const StopContainer&) const = default;
};
// Its logs (row 20.3), then the runtime's record.
struct RemoveContainer {
  ContainerId id;
  bool operator==(const RemoveContainer&) const = default;
};
struct StopSandbox {
  SandboxId id;
  bool operator==(const StopSandbox&) const = default;
};
struct RemoveSandbox {
  SandboxId id;
  bool operator==(const RemoveSandbox&) const = default;
};
// Reads the pod back from the runtime without changing it.
struct InspectPod {
  bool operator==(const InspectPod&) const = default;
};
struct UnmountVolumes {
  bool operator==(const UnmountVolumes&) const = default;
};
struct DetachPrograms {
  bool operator==(const DetachPrograms&) const = default;
};
struct RemoveCgroup {
  bool operator==(const RemoveCgroup&) const = default;
};
// Logs, the links to them, and last the pod's directory: the record that it was here.
struct RemoveFiles {
  bool operator==(const RemoveFiles&) const = default;
};

using Action =
    std::variant<EnsureCgroup, FindCgroup, AttachPrograms, MountVolumes, EnsureImage, RunSandbox, StartContainer, StopContainer,
                 RemoveContainer, StopSandbox, RemoveSandbox, InspectPod, UnmountVolumes, DetachPrograms, RemoveCgroup, RemoveFiles>;
[[nodiscard]] std::string describe(const Action& action);  // "start container 'web' (attempt 0)"

// The reason of an AttachPrograms for which there was no plan: whatever is attached stays, and a pod that has nothing waits.
inline constexpr std::string_view kProgramPlanRefused = "ProgramPlanRefused";
// The reason of one that could not be tried at all, with programs of operators in the plan that are required.
inline constexpr std::string_view kRequiredProgramsRefused = "RequiredProgramsRefused";
[[nodiscard]] std::string attach_failure(const model::ProgramPlan& plan);  // that reason, or none

struct CgroupReady {
  CgroupId id;
  std::string path, runtime_parent;
  bool populated = true;  // FindCgroup: something runs in it
};
// `value` is set on success by the kind the action names; `observed` whenever the runtime was read back, also after a failure.
struct ActionOutcome {
  std::optional<Error> error;
  std::string reason;  // API reason of the failure where the executor knows best ("CreateContainerConfigError", "ErrImagePull")
  std::variant<std::monostate, CgroupReady, model::AttachReport, model::ImageInfo> value;
  std::optional<model::ObservedPod> observed;
  std::map<std::string, std::string> termination_messages;  // container id -> text, for containers seen exited in `observed`
  Duration took{};
  std::optional<Duration> created_after, started_after;  // StartContainer: since its begin, each once it has been done
  bool pulled = false;                                   // EnsureImage: the registry was asked, the image was not just found
};

// One probe to be run now, concurrently with the plan.
enum class ProbeKind { kStartup, kLiveness, kReadiness };
struct ProbeRun {
  std::string container;
  ContainerId id;
  ProbeKind kind = ProbeKind::kReadiness;
  bool operator==(const ProbeRun&) const = default;
};
enum class ProbeResult { kSuccess, kFailure, kError };
struct ProbeDone {
  ProbeRun run;
  ProbeResult result = ProbeResult::kError;
  std::string output;
};

}  // namespace pintle::lifecycle
