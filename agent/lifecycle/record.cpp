// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Takes in what became of each action: the other half of decide(), which only ever reads it.
#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "lifecycle/companion.h"
#include "lifecycle/decide.h"
#include "lifecycle/instances.h"
#include "lifecycle/programs.h"
#include "lifecycle/restart.h"
#include "lifecycle/start.h"

namespace pintle::lifecycle {
namespace {

using model::EventType;

constexpr Duration kStepInitial = std::chrono::milliseconds(50), kStepMax = std::chrono::seconds(10);
constexpr Duration kRefreshInitial = std::chrono::seconds(1), kRefreshMax = std::chrono::seconds(60);
constexpr const char* kMountFailed = "volumes could not be mounted";
constexpr Duration kImageInitial = std::chrono::seconds(10), kImageMax = std::chrono::seconds(300);  // row 10.3

struct Recorder {
  PodMemory& memory;
  const ActionOutcome& outcome;
  Time now;

  void tell(EventType type, std::string reason, std::string message, const std::string& container = {}, std::optional<Time> at = {}) const {
    memory.events.push_back({container, type, std::move(reason), std::move(message), at.value_or(now)});
  }
  [[nodiscard]] const std::string& error() const { return outcome.error->message(); }

  // A pod-level step: waits after a failure, told once per distinct text.
  void step(const char* what, const char* event, const char* prefix) const {
    if (!outcome.error) {
      memory.step_wait.reset();
      memory.step_reason.clear();
      memory.step_message.clear();
      return;
    }
    if (event != nullptr && memory.step_message != error()) tell(EventType::kWarning, event, prefix + error());
    raise(memory.step_wait, kStepInitial, kStepMax, now);
    memory.step_reason = what;
    memory.step_message = error();
  }

  void operator()(const EnsureCgroup&) const {
    step("the pod's cgroup could not be made", "FailedCreatePodContainer", "unable to ensure pod container exists: ");
    if (const auto* ready = std::get_if<CgroupReady>(&outcome.value); ready != nullptr && !outcome.error) {
      memory.cgroup = ready->id;
      memory.cgroup_path = ready->path;
      memory.cgroup_parent = ready->runtime_parent;
    }
  }
  void operator()(const FindCgroup&) const {
    step("the pod's cgroup could not be looked for", nullptr, "");
    if (!outcome.error) record_found(memory, outcome);
  }
  void operator()(const AttachPrograms&) const { record_programs(memory, outcome, now); }
  void operator()(const MountVolumes&) const {
    if (memory.volumes_mounted && outcome.error) {
      if (memory.refresh_error != error()) tell(EventType::kWarning, "FailedMount", error());
      memory.refresh_error = error();
      raise(memory.refresh_wait, kRefreshInitial, kRefreshMax, now);
      memory.volumes_refresh = true;
      return;
    }
    step(kMountFailed, "FailedMount", "");
    if (outcome.error) {
      // Something has changed since it began: tried again at once.
      if (std::exchange(memory.volumes_refresh, false)) memory.step_wait.reset();
      return;
    }
    memory.volumes_mounted = true;
    memory.refresh_wait.reset();
    memory.refresh_error.clear();
    memory.volumes_mounted_at = now;
  }
  void operator()(const RunSandbox&) const {
    step("the sandbox could not be made", "FailedCreatePodSandBox", "Failed to create pod sandbox: ");
  }
  void operator()(const StopContainer&) const { step("a container could not be stopped", "FailedKillPod", "error killing pod: "); }
  void operator()(const RemoveContainer&) const { step("a container's record could not be removed", nullptr, ""); }
  void operator()(const StopSandbox&) const { step("the sandbox could not be stopped", "FailedKillPod", "error killing pod: "); }
  void operator()(const RemoveSandbox&) const { step("the sandbox's record could not be removed", nullptr, ""); }
  void operator()(const InspectPod&) const { step("the pod could not be read from the runtime", nullptr, ""); }
  void operator()(const UnmountVolumes&) const {
    step("volumes could not be unmounted", "FailedUnmount", "");
    memory.unmounted = !outcome.error;
  }
  void operator()(const DetachPrograms&) const {
    step("eBPF programs could not be detached", "FailedDetachPrograms", "Failed to detach eBPF programs: ");
    memory.detached = !outcome.error;
  }
  void operator()(const RemoveCgroup&) const {
    step("the pod's cgroup could not be removed", nullptr, "");
    memory.cgroup_removed = !outcome.error;
    if (!outcome.error) memory.cgroup.reset();
  }
  void operator()(const RemoveFiles&) const {
    step("the pod's logs and directory could not be removed", nullptr, "");
    memory.files_removed = !outcome.error;
  }

  void operator()(const EnsureImage& action) const {
    ContainerMemory& container = memory.containers[action.container];
    if (outcome.error) return image_failed(action, container);
    const auto* info = std::get_if<model::ImageInfo>(&outcome.value);
    container.image = info == nullptr ? model::ImageInfo{} : *info;
    container.image_wait.reset();
    container.waiting_reason.clear();
    container.waiting_message.clear();
    if (!outcome.pulled)
      return tell(EventType::kNormal, "Pulled",
                  fmt::format("Container image \"{}\" already present on machine and can be accessed by the pod", action.image),
                  action.container);
    told_pulling(action);
    const std::string took = format_duration(std::chrono::duration_cast<std::chrono::milliseconds>(outcome.took));
    tell(EventType::kNormal, "Pulled",
         fmt::format("Successfully pulled image \"{}\" in {} ({} including waiting). Image size: {} bytes.", action.image, took, took,
                     container.image->size_bytes),
         action.container);
  }
  // Policy Always was told when the pull was begun.
  void told_pulling(const EnsureImage& action) const {
    if (action.policy != model::PullPolicy::kAlways)
      tell(EventType::kNormal, "Pulling", fmt::format("Pulling image \"{}\"", action.image), action.container, now - outcome.took);
  }
  void image_failed(const EnsureImage& action, ContainerMemory& container) const {
    const std::string reason = outcome.reason.empty() ? "ErrImagePull" : outcome.reason;
    container.waiting_reason = reason;
    container.waiting_message = error();
    container.image_backoff_told = false;
    raise(container.image_wait, kImageInitial, kImageMax, now);
    if (is_pull_failure(reason)) {
      told_pulling(action);
      tell(EventType::kWarning, "Failed", fmt::format("Failed to pull image \"{}\": {}", action.image, error()), action.container);
    } else if (reason == "ErrImageNeverPull") {
      container.waiting_message = fmt::format("Container image \"{}\" is not present with pull policy of Never", action.image);
      tell(EventType::kWarning, "ErrImageNeverPull", container.waiting_message, action.container);
    } else {
      tell(EventType::kWarning, "InspectFailed", fmt::format("Failed to inspect image \"{}\": {}", action.image, error()),
           action.container);
    }
    tell(EventType::kWarning, "Failed", "Error: " + reason, action.container);
  }

  void operator()(const StartContainer& action) const {
    ContainerMemory& container = memory.containers[action.name];
    container.image.reset();  // the next start asks for the image again
    if (!outcome.error) {
      container.start_wait.reset();
      container.waiting_reason.clear();
      container.waiting_message.clear();
      tell(EventType::kNormal, "Created", "Container created", action.name);
      return tell(EventType::kNormal, "Started", "Container started", action.name);
    }
    start_failed(action, container);
  }
  void start_failed(const StartContainer& action, ContainerMemory& container) const {
    const std::string reason = outcome.reason.empty() ? "RunContainerError" : outcome.reason;
    const bool changed = container.waiting_message != error();
    container.waiting_reason = reason;
    container.waiting_message = error();
    raise(container.start_wait, kStepInitial, kStepMax, now);
    if (reason == "PostStartHookError") {
      tell(EventType::kNormal, "Created", "Container created", action.name);
      tell(EventType::kNormal, "Started", "Container started", action.name);
      tell(EventType::kWarning, "FailedPostStartHook", "PostStartHook failed", action.name);
      // Row 11.1: it may still run; it is killed.
      if (outcome.observed)
        for (const auto& instance : outcome.observed->containers)
          if (instance.name == action.name && instance.attempt == action.attempt && may_run(instance)) {
            container.kill_id = instance.id;
            container.kill_message = "FailedPostStartHook";
            container.kill_restarts = false;
          }
      return;
    }
    if (reason == "RunContainerError") tell(EventType::kNormal, "Created", "Container created", action.name);
    if (changed) tell(EventType::kWarning, "Failed", "Error: " + error(), action.name);
  }
};

void take_in(PodMemory& memory, const ActionOutcome& outcome) {
  for (const auto& [id, text] : outcome.termination_messages) memory.termination_messages.insert_or_assign(id, text);
  if (!outcome.observed) return;
  const auto* sandbox = newest_sandbox(*outcome.observed);
  memory.inspected_sandbox = sandbox == nullptr ? SandboxId{} : sandbox->id;
  if (sandbox != nullptr && !sandbox->ips.empty()) {
    memory.ips_of = sandbox->id;
    memory.sandbox_ips = sandbox->ips;
  }
  // Texts of instances whose records are gone are in the status by now.
  std::erase_if(memory.termination_messages, [&](const auto& entry) {
    return std::none_of(outcome.observed->containers.begin(), outcome.observed->containers.end(),
                        [&](const auto& c) { return c.id.value() == entry.first; });
  });
}

}  // namespace

void record(PodMemory& memory, const Action& action, const ActionOutcome& outcome, Time now) {
  take_in(memory, outcome);
  if (const auto* start = std::get_if<StartContainer>(&action)) memory.containers[start->name].starting.reset();
  if (outcome.error && outcome.error->code == Code::kCancelled) {
    // Our own wish, not a failure: nothing waits for it. Adopted by the next decision from what is observed.
    return;
  }
  std::visit(Recorder{memory, outcome, now}, action);
}

void request_volume_refresh(PodMemory& memory) {
  // What a mount waits for may just have come.
  if (!memory.volumes_mounted && memory.step_reason == kMountFailed) memory.step_wait.reset();
  memory.volumes_refresh = true;
  memory.refresh_wait.reset();
}
void request_programs_check(PodMemory& memory) {
  memory.programs_check = true;
  memory.cgroup_known = false;
}

}  // namespace pintle::lifecycle
