// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/probes.h"

#include <fmt/format.h>

#include "lifecycle/instances.h"

namespace pintle::lifecycle {
namespace {

constexpr ProbeKind kKinds[] = {ProbeKind::kStartup, ProbeKind::kLiveness, ProbeKind::kReadiness};

bool has_probes(const model::Container& c) { return c.liveness_probe || c.readiness_probe || c.startup_probe; }

// Row 12.4: after a restart of the agent the probes of a node do not all fire at once. FNV-1a keeps it the same for the same pod.
Duration spread(const std::string& uid, const std::string& key, Duration period) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const auto* text : {&uid, &key})
    for (const char c : *text) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3;
  return period.count() > 0 ? Duration(static_cast<int64_t>(hash % static_cast<uint64_t>(period.count()))) : Duration::zero();
}

Time begun(const model::ObservedContainer& instance) { return instance.started_at != kNoTime ? instance.started_at : instance.created_at; }

void begin(Context& ctx, const model::Container& container, const model::Probe& probe, ProbeKind kind, const std::string& key,
           const model::ObservedContainer& instance, ProbeMemory& memory) {
  const bool first_sight = memory.container.empty();
  memory = ProbeMemory{};
  memory.container = instance.id;
  memory.healthy = kind == ProbeKind::kLiveness;
  memory.next = begun(instance) + std::chrono::seconds(probe.initial_delay_seconds);
  const auto* known = first_sight ? find_status(ctx.pod.status, container.name) : nullptr;
  if (known == nullptr || bare_id(known->container_id) != instance.id.value()) return;
  if (!std::holds_alternative<model::StateRunning>(known->state)) return;
  if (kind == ProbeKind::kStartup) memory.known = memory.healthy = known->started.value_or(false);
  if (kind == ProbeKind::kReadiness) memory.known = memory.healthy = known->ready;
  memory.last_success = memory.healthy;
  const Time spread_start = ctx.now + spread(ctx.pod.metadata.uid, key, std::chrono::seconds(probe.period_seconds));
  memory.next = std::max(memory.next, spread_start);
}

void sync_container(Context& ctx, const model::Container& container) {
  if (!has_probes(container)) return;
  const auto* instance = newest_instance(ctx.observed, container.name);
  const bool running = instance != nullptr && instance->state == model::RunState::kRunning;
  for (const ProbeKind kind : kKinds) {
    const auto* probe = probe_of(container, kind);
    if (probe == nullptr) continue;
    const std::string key = probe_key(kind, container.name);
    auto found = ctx.memory.probes.find(key);
    if (!running) {
      // The id stays, so that a later instance is not taken for one of before the agent's start.
      if (found != ctx.memory.probes.end()) found->second.healthy = found->second.known = false;
      continue;
    }
    if (found == ctx.memory.probes.end()) found = ctx.memory.probes.emplace(key, ProbeMemory{}).first;
    if (found->second.container != instance->id) begin(ctx, container, *probe, kind, key, *instance, found->second);
    // Row 12.7: on hold after this result until the container is another one.
    if (kind != ProbeKind::kReadiness && found->second.known && !found->second.healthy && ctx.memory.stage == PodStage::kActive) {
      auto& memory = ctx.memory.containers[container.name];
      if (memory.kill_id != instance->id) {
        memory.kill_id = instance->id;
        memory.kill_message = fmt::format("Container {} failed {} probe, will be restarted", container.name,
                                          kind == ProbeKind::kLiveness ? "liveness" : "startup");
        memory.kill_restarts = false;
      }
    }
  }
}

bool wanted(const Context& ctx, const model::Container& container, ProbeKind kind, const ProbeMemory& memory, bool started) {
  if (memory.running) return false;
  const bool ending = ctx.memory.stage != PodStage::kActive;
  if (ending && kind != ProbeKind::kReadiness) return false;  // row 12.14
  if (kind != ProbeKind::kReadiness && memory.known && !memory.healthy) return false;
  if (kind == ProbeKind::kStartup) return !(memory.known && memory.healthy);
  (void)container;
  return started;  // row 12.6
}

}  // namespace

std::string_view to_string(ProbeKind kind) {
  switch (kind) {
    case ProbeKind::kStartup: return "Startup";
    case ProbeKind::kLiveness: return "Liveness";
    case ProbeKind::kReadiness: return "Readiness";
  }
  return "";
}

std::string probe_key(ProbeKind kind, const std::string& container) {
  switch (kind) {
    case ProbeKind::kStartup: return "startup/" + container;
    case ProbeKind::kLiveness: return "liveness/" + container;
    case ProbeKind::kReadiness: return "readiness/" + container;
  }
  return container;
}

const model::Probe* probe_of(const model::Container& container, ProbeKind kind) {
  const auto& probe = kind == ProbeKind::kStartup    ? container.startup_probe
                      : kind == ProbeKind::kLiveness ? container.liveness_probe
                                                     : container.readiness_probe;
  return probe ? &*probe : nullptr;
}

bool startup_passed(const PodMemory& memory, const model::Container& container, const ContainerId& id) {
  if (!container.startup_probe) return true;
  const auto found = memory.probes.find(probe_key(ProbeKind::kStartup, container.name));
  return found != memory.probes.end() && found->second.container == id && found->second.known && found->second.healthy;
}

bool readiness_passed(const PodMemory& memory, const model::Container& container, const ContainerId& id) {
  if (!container.readiness_probe) return true;
  const auto found = memory.probes.find(probe_key(ProbeKind::kReadiness, container.name));
  return found != memory.probes.end() && found->second.container == id && found->second.healthy;
}

void sync_probes(Context& ctx) {
  for (const auto& container : ctx.pod.spec.containers) sync_container(ctx, container);
  for (const auto& container : ctx.pod.spec.init_containers)
    if (is_sidecar(container)) sync_container(ctx, container);
}

void schedule_probes(Context& ctx, const model::PodStatus& status) {
  const auto schedule = [&](const model::Container& container) {
    if (!has_probes(container)) return;
    const auto* instance = newest_instance(ctx.observed, container.name);
    if (instance == nullptr || instance->state != model::RunState::kRunning) return;
    const auto memory_of = ctx.memory.containers.find(container.name);
    // The kubelet's probes see a container only after its postStart.
    if (memory_of != ctx.memory.containers.end() && (memory_of->second.starting || memory_of->second.kill_id == instance->id)) return;
    const auto* shown = find_status(status, container.name);
    const bool started = shown != nullptr && shown->started.value_or(false);
    for (const ProbeKind kind : kKinds) {
      const auto* probe = probe_of(container, kind);
      if (probe == nullptr) continue;
      const auto found = ctx.memory.probes.find(probe_key(kind, container.name));
      if (found == ctx.memory.probes.end() || !wanted(ctx, container, kind, found->second, started)) continue;
      ProbeMemory& memory = found->second;
      if (ctx.now < memory.next) {
        ctx.wake(memory.next);
        continue;
      }
      const Duration period = std::chrono::seconds(std::max(probe->period_seconds, 1));
      // A tick missed (slow probe, agent stalled) is not made up for.
      memory.next = memory.next + period > ctx.now ? memory.next + period : ctx.now + period;
      memory.running = true;
      ctx.out.probes.push_back({container.name, instance->id, kind});
    }
  };
  for (const auto& container : ctx.pod.spec.containers) schedule(container);
  for (const auto& container : ctx.pod.spec.init_containers)
    if (is_sidecar(container)) schedule(container);
}

void record(PodMemory& memory, const ProbeDone& done, const model::Pod& pod, Time now) {
  const auto found = memory.probes.find(probe_key(done.run.kind, done.run.container));
  if (found == memory.probes.end() || found->second.container != done.run.id) return;  // of an instance that is no more
  ProbeMemory& state = found->second;
  state.running = false;
  const model::Container* container = nullptr;
  for (const auto* list : {&pod.spec.containers, &pod.spec.init_containers})
    for (const auto& candidate : *list)
      if (candidate.name == done.run.container) container = &candidate;
  const auto* probe = container == nullptr ? nullptr : probe_of(*container, done.run.kind);
  if (probe == nullptr) return;
  const auto tell = [&](std::string message) {
    memory.events.push_back({done.run.container, model::EventType::kWarning, "Unhealthy", std::move(message), now});
  };
  if (done.result == ProbeResult::kError) {
    // Row 12.8: three attempts at once, then told; the state stays.
    if (++state.errors < 3) {
      state.next = now;
      return;
    }
    state.errors = 0;
    tell(fmt::format("{} probe errored and resulted in unknown state: {}", to_string(done.run.kind), done.output));
    return;
  }
  state.errors = 0;
  const bool success = done.result == ProbeResult::kSuccess;
  if (!success) tell(fmt::format("{} probe failed: {}", to_string(done.run.kind), done.output));
  state.same_results = state.last_success == success && state.same_results > 0 ? state.same_results + 1 : 1;
  state.last_success = success;
  const int threshold = success ? probe->success_threshold : probe->failure_threshold;
  if (state.same_results < threshold) return;
  state.known = true;
  state.healthy = success;
}

}  // namespace pintle::lifecycle
