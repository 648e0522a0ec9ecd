// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/start.h"

#include <algorithm>
#include <functional>
#include <string>

#include <fmt/format.h>

#include "lifecycle/instances.h"
#include "lifecycle/probes.h"
#include "lifecycle/programs.h"
#include "lifecycle/restart.h"
#include "lifecycle/sandbox.h"
#include "lifecycle/terminate.h"

namespace pintle::lifecycle {
namespace {

using model::ObservedContainer;
using model::RunState;

// Row 14.12: what a pod shows of the API is looked at again each 60 to 90 s, and at once on request_volume_refresh(). Tokens, renewed
// at 80 % of a life that is at least ten minutes, come along.
constexpr Duration kVolumeRefresh = std::chrono::seconds(60);
constexpr size_t kRefreshSpreadSeconds = 30;

struct Due {
  const model::Container* container;
  ContainerKind kind;
  const ObservedContainer* instance;  // the one that ended or was never started; null: none
};

// Shows objects of the API. Of the pod's own fields a change is told by its source.
bool refreshing(const model::Volume& volume) {
  const auto* projected = std::get_if<model::ProjectedVolume>(&volume.source);
  if (projected != nullptr)
    return std::any_of(projected->sources.begin(), projected->sources.end(),
                       [](const auto& source) { return !std::holds_alternative<model::DownwardApiVolume>(source); });
  return std::holds_alternative<model::ConfigMapVolume>(volume.source) || std::holds_alternative<model::SecretVolume>(volume.source);
}

// Spread by UID, so that pods mounted together do not ask together.
Duration refresh_period(const model::Pod& pod) {
  return kVolumeRefresh + std::chrono::seconds(std::hash<std::string>{}(pod.metadata.uid) % kRefreshSpreadSeconds);
}

bool plan_refresh(Context& ctx) {
  PodMemory& memory = ctx.memory;
  const auto& volumes = ctx.pod.spec.volumes;
  if (std::any_of(volumes.begin(), volumes.end(), refreshing)) {
    const Time at = memory.volumes_mounted_at + refresh_period(ctx.pod);
    memory.volumes_refresh = memory.volumes_refresh || ctx.now >= at;
    ctx.wake(at);
  }
  if (!memory.volumes_refresh) return false;
  if (memory.refresh_wait && ctx.now < memory.refresh_wait->until) {
    ctx.wake(memory.refresh_wait->until);
    return false;
  }
  memory.volumes_refresh = false;
  ctx.plan(MountVolumes{}, PlanKind::kSync);
  return true;
}

EnsureImage ensure_image(const model::Container& container) {
  return {container.name, container.image, container.image_pull_policy.value_or(model::PullPolicy::kIfNotPresent)};
}

void plan_image(Context& ctx, const model::Container& container) {
  auto action = ensure_image(container);
  // With policy Always the registry is surely asked: told before a pull that may take minutes.
  if (action.policy == model::PullPolicy::kAlways)
    ctx.tell(model::EventType::kNormal, "Pulling", fmt::format("Pulling image \"{}\"", container.image), container.name);
  ctx.plan(std::move(action), PlanKind::kSync);
}

// Volumes, and with them every image that will be needed and was never asked for.
bool plan_volumes(Context& ctx) {
  if (ctx.memory.volumes_mounted) return false;
  ctx.plan(MountVolumes{}, PlanKind::kSync);
  if (!ctx.memory.images_asked) {
    ctx.memory.images_asked = true;
    for (const auto* list : {&ctx.pod.spec.init_containers, &ctx.pod.spec.containers})
      for (const auto& container : *list)
        if (newest_instance(ctx.observed, container.name) == nullptr && !ctx.memory.containers[container.name].image)
          plan_image(ctx, container);
  }
  ctx.explain("mounting volumes and getting images");
  return true;
}

bool sidecar_started(const Context& ctx, const model::Container& container, const ObservedContainer& instance) {
  const auto memory = ctx.memory.containers.find(container.name);
  if (memory != ctx.memory.containers.end() && memory->second.starting) return false;
  return startup_passed(ctx.memory, container, instance.id);
}

// Init containers that are due; false when regular containers have to wait for them.
bool collect_init(const Context& ctx, const model::ObservedSandbox& sandbox, std::vector<Due>& due) {
  const auto& inits = ctx.pod.spec.init_containers;
  const auto current = [&](const model::Container& c) -> const ObservedContainer* {
    const auto* instance = newest_instance(ctx.observed, c.name);
    return instance != nullptr && instance->sandbox_id == sandbox.id ? instance : nullptr;
  };
  bool initialized = false;
  for (const auto& c : ctx.pod.spec.containers) initialized = initialized || current(c) != nullptr;
  size_t last_begun = 0;
  for (size_t i = 0; i < inits.size(); ++i)
    if (current(inits[i]) != nullptr) last_begun = i;
  for (size_t i = 0; i < inits.size(); ++i) {
    const auto* instance = current(inits[i]);
    const bool gates = !initialized && i >= last_begun;  // nothing after it was begun
    if (is_sidecar(inits[i])) {
      if (instance != nullptr && instance->state == RunState::kRunning) {
        if (gates && !sidecar_started(ctx, inits[i], *instance)) return false;
        continue;
      }
      due.push_back({&inits[i], ContainerKind::kInit, instance});
      if (gates) return false;
      continue;
    }
    if (initialized || (instance == nullptr && i < last_begun)) continue;  // row 9.5: its record may be gone
    if (instance != nullptr && may_run(*instance)) return false;
    if (instance != nullptr && instance->state == RunState::kExited) {
      if (instance->exit_code == 0) continue;
      if (wants_restart(effective_policy(ctx.pod.spec, inits[i]), instance->exit_code))
        due.push_back({&inits[i], ContainerKind::kInit, instance});
      return false;
    }
    due.push_back({&inits[i], ContainerKind::kInit, instance});
    return false;
  }
  return true;
}

std::vector<Due> collect_due(const Context& ctx, const model::ObservedSandbox& sandbox) {
  std::vector<Due> due;
  for (const auto& c : ctx.pod.spec.ephemeral_containers)
    if (will_be_started(ctx, c, ContainerKind::kEphemeral, newest_instance(ctx.observed, c.name)))
      due.push_back({&c, ContainerKind::kEphemeral, newest_instance(ctx.observed, c.name)});
  if (!collect_init(ctx, sandbox, due)) return due;
  for (const auto& c : ctx.pod.spec.containers) {
    const auto* instance = newest_instance(ctx.observed, c.name);
    if (instance != nullptr && may_run(*instance)) continue;
    if (will_be_started(ctx, c, ContainerKind::kRegular, instance)) due.push_back({&c, ContainerKind::kRegular, instance});
  }
  return due;
}

uint32_t next_attempt(const Context& ctx, const Due& due) {
  if (const auto* newest = newest_instance(ctx.observed, due.container->name))
    return newest->state == RunState::kCreated ? newest->attempt : newest->attempt + 1;
  // Row 6.14: the records are gone, the count goes on.
  const auto* known = find_status(ctx.published(), due.container->name);
  if (known == nullptr) return 0;
  return static_cast<uint32_t>(known->restart_count) + (known->container_id.empty() ? 0 : 1);
}

// True while `due` has to wait for a back-off; wakes, explains and tells.
bool waits(Context& ctx, const Due& due, ContainerMemory& memory) {
  const std::string& name = due.container->name;
  const ObservedContainer* exited = due.instance != nullptr && due.instance->state == RunState::kExited ? due.instance : nullptr;
  if (exited != nullptr) {
    if (const auto delay = restart_delay(memory, *exited, ctx.node.max_restart_backoff, ctx.now)) {
      ctx.wake(delay->until);
      ctx.explain(fmt::format("container '{}' ended with exit code {} ({}); restarted in {}", name, exited->exit_code,
                              exited->reason.empty() ? "no reason told" : exited->reason, format_duration(delay->until - ctx.now)));
      if (memory.backoff_told_of != exited->id) {
        memory.backoff_told_of = exited->id;
        ctx.tell(model::EventType::kWarning, "BackOff",
                 fmt::format("Back-off restarting failed container {} in pod {}", name, ctx.pod_text()), name);
      }
      return true;
    }
  }
  if (memory.start_wait && ctx.now < memory.start_wait->until) {
    ctx.wake(memory.start_wait->until);
    ctx.explain(fmt::format("container '{}' could not be started ({}: {}); tried again in {}", name, memory.waiting_reason,
                            memory.waiting_message, format_duration(memory.start_wait->until - ctx.now)));
    return true;
  }
  if (!memory.image && memory.image_wait && ctx.now < memory.image_wait->until) {
    ctx.wake(memory.image_wait->until);
    ctx.wake(image_backoff_shows_at(*memory.image_wait));
    ctx.explain(fmt::format("image '{}' of container '{}' ({}: {}); tried again in {}", due.container->image, name, memory.waiting_reason,
                            memory.waiting_message, format_duration(memory.image_wait->until - ctx.now)));
    if (is_pull_failure(memory.waiting_reason) && image_backoff_shown(*memory.image_wait, ctx.now) && !memory.image_backoff_told) {
      memory.image_backoff_told = true;
      ctx.tell(model::EventType::kNormal, "BackOff", fmt::format("Back-off pulling image \"{}\"", due.container->image), name);
      ctx.tell(model::EventType::kWarning, "Failed", "Error: ImagePullBackOff", name);
    }
    return true;
  }
  return false;
}

// The first container that can be started, in spec order: a postStart holds those after it (row 9.4). Images that are missing
// are got for all, when nothing can be started.
bool plan_containers(Context& ctx, const model::ObservedSandbox& sandbox) {
  std::vector<const model::Container*> images;
  for (const Due& due : collect_due(ctx, sandbox)) {
    ContainerMemory& memory = ctx.memory.containers[due.container->name];
    if (waits(ctx, due, memory)) continue;
    if (!memory.image) {
      images.push_back(due.container);
      continue;
    }
    StartContainer start{due.container->name, due.kind, next_attempt(ctx, due), *memory.image};
    if (due.instance != nullptr && due.instance->state == RunState::kExited)
      begin_restart(memory, *due.instance, ctx.node.max_restart_backoff, ctx.now);
    memory.starting = start.attempt;
    ctx.explain(fmt::format("starting container '{}'", due.container->name));
    ctx.plan(std::move(start), PlanKind::kSync);
    return true;
  }
  for (const auto* container : images) plan_image(ctx, *container);
  if (!images.empty()) ctx.explain(fmt::format("getting image '{}'", images.front()->image));
  return !images.empty();
}

// Row 20.1: one dead instance of each container is kept, and no sandbox before the newest once it is empty.
bool plan_housekeeping(Context& ctx, const model::ObservedSandbox* newest) {
  for (const auto& c : ctx.observed.containers) {
    if (may_run(c)) continue;
    int newer_dead = 0;
    for (const auto& other : ctx.observed.containers)
      if (other.name == c.name && newer(other, c) && other.state == RunState::kExited) ++newer_dead;
    if (newer_dead > 0) ctx.plan(RemoveContainer{c.id}, PlanKind::kSync);
  }
  for (const auto& sandbox : ctx.observed.sandboxes) {
    if (newest == nullptr || sandbox.id == newest->id || sandbox.state == model::SandboxState::kReady) continue;
    const bool used = std::any_of(ctx.observed.containers.begin(), ctx.observed.containers.end(),
                                  [&](const auto& c) { return c.sandbox_id == sandbox.id; });
    if (!used) ctx.plan(RemoveSandbox{sandbox.id}, PlanKind::kSync);
  }
  return !ctx.out.plan.empty() || plan_refresh(ctx);
}

}  // namespace

bool is_pull_failure(const std::string& reason) {
  return reason == "ErrImagePull" || reason == "RegistryUnavailable" || reason == "SignatureValidationFailed";
}

Time image_backoff_shows_at(const Wait& wait) { return wait.last_failure + std::min<Duration>(wait.delay / 2, std::chrono::seconds(5)); }

bool will_be_started(const Context& ctx, const model::Container& container, ContainerKind kind, const ObservedContainer* instance) {
  if (ctx.deleted()) return false;
  const auto policy = effective_policy(ctx.pod.spec, container);
  if (instance == nullptr) {
    const auto* known = find_status(ctx.published(), container.name);
    if (known == nullptr || known->container_id.empty()) return true;
    if (kind == ContainerKind::kEphemeral) return false;
    const auto* end = std::get_if<model::StateTerminated>(&known->state);
    return end == nullptr || wants_restart(policy, end->exit_code);
  }
  if (instance->state == RunState::kRunning) return false;
  if (kind == ContainerKind::kEphemeral) return instance->state == RunState::kCreated;
  if (instance->state != RunState::kExited) return true;
  const auto memory = ctx.memory.containers.find(container.name);
  if (memory != ctx.memory.containers.end() && memory->second.kill_restarts && memory->second.kill_id == instance->id) return true;
  if (kind == ContainerKind::kInit && !is_sidecar(container) && instance->exit_code == 0) return false;
  return wants_restart(policy, instance->exit_code);
}

void plan_sync(Context& ctx, const model::PodStatus& status) {
  if (step_waits(ctx)) return;
  if (plan_unwanted_stops(ctx)) return;
  if (!ctx.memory.cgroup) {
    ctx.plan(EnsureCgroup{}, PlanKind::kSync);
    ctx.explain("making the pod's cgroup");
    return;
  }
  if (plan_programs(ctx)) return;
  if (programs_hold_start(ctx)) return;
  if (plan_volumes(ctx)) return;
  const auto* sandbox = newest_sandbox(ctx.observed);
  if (plan_sandbox(ctx, sandbox)) return;
  if (sandbox == nullptr || !sandbox_usable(ctx, *sandbox)) return;
  if (plan_containers(ctx, *sandbox)) return;
  if (plan_housekeeping(ctx, sandbox)) return;
  const auto* ready = find_condition(status, "Ready");
  if (ready != nullptr && ready->status == model::ConditionStatus::kTrue)
    ctx.explain("running");
  else if (ready != nullptr)
    ctx.explain("not ready: " + (ready->message.empty() ? ready->reason : ready->message));
}

}  // namespace pintle::lifecycle
