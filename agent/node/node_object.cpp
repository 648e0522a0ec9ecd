// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "node/node_object.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::node {
namespace {

using model::ConditionStatus;

// The shortest exact text with a binary suffix, as apimachinery prints BinarySI.
Quantity binary_quantity(uint64_t bytes) {
  static constexpr std::string_view kSuffixes[] = {"", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"};
  size_t suffix = 0;
  while (bytes != 0 && bytes % 1024 == 0 && suffix + 1 < std::size(kSuffixes)) {
    bytes /= 1024;
    ++suffix;
  }
  return Quantity::parse(fmt::format("{}{}", bytes, kSuffixes[suffix])).value_or(Quantity());
}

uint64_t reserved(const NodeSettings& settings, const std::string& resource) {
  int64_t sum = 0;
  for (const auto* list : {&settings.system_reserved, &settings.kube_reserved})
    if (const auto at = list->find(resource); at != list->end()) sum += at->second.value();
  return static_cast<uint64_t>(std::max<int64_t>(sum, 0));
}

uint64_t less(uint64_t whole, uint64_t part) { return whole > part ? whole - part : 0; }

struct ConditionText {
  const char* type;
  const char *bad_reason, *bad_message, *good_reason, *good_message;
};
constexpr ConditionText kPressures[] = {
    {"MemoryPressure", "KubeletHasInsufficientMemory", "kubelet has insufficient memory available", "KubeletHasSufficientMemory",
     "kubelet has sufficient memory available"},
    {"DiskPressure", "KubeletHasDiskPressure", "kubelet has disk pressure", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"},
    {"PIDPressure", "KubeletHasInsufficientPID", "kubelet has insufficient PID available", "KubeletHasSufficientPID",
     "kubelet has sufficient PID available"}};

std::string runtime_condition_text(std::string_view what, const char* type, const model::RuntimeCondition& condition) {
  return fmt::format("{}: {}=false reason:{} message:{}", what, type, condition.reason, condition.message);
}

std::vector<std::string> not_ready_reasons(const NodeFacts& facts) {
  std::vector<std::string> out;
  if (!facts.runtime_answers) {
    out.emplace_back("container runtime is down");
  } else {
    if (!facts.runtime.runtime_ready.ok)
      out.push_back(runtime_condition_text("container runtime not ready", "RuntimeReady", facts.runtime.runtime_ready));
    if (!facts.runtime.network_ready.ok)
      out.push_back(runtime_condition_text("container runtime network not ready", "NetworkReady", facts.runtime.network_ready));
  }
  out.insert(out.end(), facts.other_errors.begin(), facts.other_errors.end());
  return out;
}

model::NodeCondition ready_condition(const NodeFacts& facts) {
  const auto reasons = not_ready_reasons(facts);
  if (reasons.empty())
    return {.type = "Ready",
            .status = ConditionStatus::kTrue,
            .reason = "KubeletReady",
            .message = "kubelet is posting ready status",
            .last_heartbeat_time = {},
            .last_transition_time = {}};
  const std::string message = reasons.size() == 1 ? reasons.front() : fmt::format("[{}]", fmt::join(reasons, ", "));
  return {.type = "Ready",
          .status = ConditionStatus::kFalse,
          .reason = "KubeletNotReady",
          .message = message,
          .last_heartbeat_time = {},
          .last_transition_time = {}};
}

std::vector<model::NodeImage> published_images(std::vector<model::NodeImage> images, int limit) {
  constexpr size_t kMaxNames = 5;
  std::ranges::stable_sort(images, [](const auto& a, const auto& b) { return a.size_bytes > b.size_bytes; });
  if (limit >= 0 && images.size() > static_cast<size_t>(limit)) images.resize(static_cast<size_t>(limit));
  for (auto& image : images)
    if (image.names.size() > kMaxNames) image.names.resize(kMaxNames);
  return images;
}

const std::string& hostname_of(const NodeSettings& settings) { return settings.hostname.empty() ? settings.name : settings.hostname; }

model::NodeCondition program_set_condition(const model::ProgramSetStatus& set) {
  const bool good = set.attempt == model::ProgramSetStatus::Attempt::kNone;
  const bool back = set.attempt == model::ProgramSetStatus::Attempt::kRolledBack;
  std::string in_force = fmt::format("program set '{}' (version {}) is in force", set.name, set.version);
  for (const auto& leftover : set.leftovers) in_force += "; " + leftover.error;
  return {.type = std::string(kProgramSetCondition),
          .status = good ? ConditionStatus::kTrue : ConditionStatus::kFalse,
          .reason = good   ? "InForce"
                    : back ? "RolledBack"
                           : "Refused",
          .message = good ? in_force : fmt::format("'{}' is wanted: {}; {}", set.wanted, set.error, in_force),
          .last_heartbeat_time = {},
          .last_transition_time = {}};
}

}  // namespace

model::ResourceList capacity_of(const NodeSettings& settings, const MachineInfo& machine) {
  model::ResourceList out;
  out["cpu"] = Quantity::from_value(machine.cpus);
  out["memory"] = binary_quantity(machine.memory_bytes);
  out["ephemeral-storage"] = binary_quantity(machine.storage_bytes);
  out["pods"] = Quantity::from_value(settings.max_pods);
  for (const auto& [name, bytes] : machine.hugepages) out[name] = binary_quantity(bytes);
  return out;
}

model::ResourceList allocatable_of(const NodeSettings& settings, const MachineInfo& machine) {
  model::ResourceList out = capacity_of(settings, machine);
  int64_t cpu_milli = int64_t{machine.cpus} * 1000;
  for (const auto* list : {&settings.system_reserved, &settings.kube_reserved})
    if (const auto at = list->find("cpu"); at != list->end()) cpu_milli -= at->second.milli();
  cpu_milli = std::max<int64_t>(cpu_milli, 0);
  out["cpu"] = cpu_milli % 1000 == 0 ? Quantity::from_value(cpu_milli / 1000) : Quantity::from_milli(cpu_milli);

  uint64_t memory = less(machine.memory_bytes, reserved(settings, "memory") + settings.eviction_memory_bytes);
  for (const auto& [name, bytes] : machine.hugepages) {
    const uint64_t left = less(bytes, reserved(settings, name));
    out[name] = binary_quantity(left);
    memory = less(memory, left);
  }
  out["memory"] = binary_quantity(memory);
  const auto eviction = settings.eviction_storage_bytes + static_cast<uint64_t>(static_cast<double>(machine.storage_bytes) *
                                                                                static_cast<double>(settings.eviction_storage_fraction));
  out["ephemeral-storage"] = binary_quantity(less(machine.storage_bytes, reserved(settings, "ephemeral-storage") + eviction));
  return out;
}

std::vector<model::NodeCondition> conditions_of(const NodeFacts& facts, const std::vector<model::NodeCondition>& before, Time now) {
  std::vector<model::NodeCondition> out;
  const bool pressed[] = {facts.memory_pressure, facts.disk_pressure, facts.pid_pressure};
  for (size_t i = 0; i < std::size(kPressures); ++i) {
    const auto& text = kPressures[i];
    out.push_back({.type = text.type,
                   .status = pressed[i] ? ConditionStatus::kTrue : ConditionStatus::kFalse,
                   .reason = pressed[i] ? text.bad_reason : text.good_reason,
                   .message = pressed[i] ? text.bad_message : text.good_message,
                   .last_heartbeat_time = {},
                   .last_transition_time = {}});
  }
  out.push_back(ready_condition(facts));
  if (facts.program_set) out.push_back(program_set_condition(*facts.program_set));
  for (auto& condition : out) {
    condition.last_heartbeat_time = condition.last_transition_time = now;
    for (const auto& old : before)
      if (old.type == condition.type && old.status == condition.status) condition.last_transition_time = old.last_transition_time;
  }
  return out;
}

model::NodeStatus status_of(const NodeSettings& settings, const MachineInfo& machine, const NodeFacts& facts,
                            const model::NodeStatus& before, Time now) {
  model::NodeStatus out;
  out.capacity = capacity_of(settings, machine);
  out.allocatable = allocatable_of(settings, machine);
  out.conditions = conditions_of(facts, before.conditions, now);
  for (const auto& address : settings.addresses) out.addresses.push_back({"InternalIP", address});
  out.addresses.push_back({"Hostname", hostname_of(settings)});
  out.info = machine.system;
  out.info.kubelet_version = settings.kubelet_version;
  if (facts.runtime_version)
    out.info.container_runtime_version = fmt::format("{}://{}", facts.runtime_version->name, facts.runtime_version->version);
  else
    out.info.container_runtime_version = before.info.container_runtime_version;
  out.images = published_images(facts.images, settings.max_images);
  out.kubelet_port = settings.kubelet_port;
  return out;
}

model::Node node_to_register(const NodeSettings& settings, const MachineInfo& machine, const NodeFacts& facts, Time now) {
  model::Node out;
  out.metadata.name = settings.name;
  out.metadata.namespace_.clear();
  out.metadata.labels = settings.labels;
  const std::string& arch = machine.system.architecture;
  for (const auto& [key, value] : {std::pair<const char*, const std::string&>{"kubernetes.io/hostname", hostname_of(settings)},
                                   {"kubernetes.io/os", machine.system.operating_system},
                                   {"kubernetes.io/arch", arch},
                                   {"beta.kubernetes.io/os", machine.system.operating_system},
                                   {"beta.kubernetes.io/arch", arch}})
    out.metadata.labels[key] = value;
  if (settings.controller_attaches_volumes) out.metadata.annotations["volumes.kubernetes.io/controller-managed-attach-detach"] = "true";
  out.taints = settings.taints;
  out.status = status_of(settings, machine, facts, {}, now);
  return out;
}

bool reconcile_metadata(model::Node& existing, const model::Node& wanted) {
  bool changed = false;
  const auto bring = [&changed](model::StringMap& have, const model::StringMap& want) {
    for (const auto& [key, value] : want) {
      if (const auto at = have.find(key); at != have.end() && at->second == value) continue;
      have[key] = value;
      changed = true;
    }
  };
  bring(existing.metadata.labels, wanted.metadata.labels);
  bring(existing.metadata.annotations, wanted.metadata.annotations);
  return changed;
}

bool differs_in_meaning(const model::NodeStatus& known, const model::NodeStatus& wanted) {
  for (const auto& condition : wanted.conditions) {
    // By type, not by place; conditions that others wrote are none of ours.
    const auto* have = find_condition(known, condition.type);
    if (have == nullptr || have->status != condition.status || have->reason != condition.reason || have->message != condition.message)
      return true;
  }
  // Resources that others publish (extended ones) stay as they are, too.
  for (const auto& [have, want] : {std::pair{&known.capacity, &wanted.capacity}, {&known.allocatable, &wanted.allocatable}})
    for (const auto& [name, quantity] : *want)
      if (const auto at = have->find(name); at == have->end() || at->second != quantity) return true;
  const auto rest = [](const model::NodeStatus& s) { return std::tie(s.addresses, s.info, s.images, s.kubelet_port); };
  return rest(known) != rest(wanted);
}

const model::NodeCondition* find_condition(const model::NodeStatus& status, std::string_view type) {
  for (const auto& condition : status.conditions)
    if (condition.type == type) return &condition;
  return nullptr;
}

bool is_ready(const model::NodeStatus& status) {
  const auto* ready = find_condition(status, "Ready");
  return ready != nullptr && ready->status == ConditionStatus::kTrue;
}

std::vector<model::Event> events_of(const std::string& node_name, const model::NodeStatus* before, const model::NodeStatus& after,
                                    Time now) {
  std::vector<model::Event> out;
  const auto add = [&](model::EventType type, const std::string& reason, const std::string& message) {
    model::Event event;
    event.object.kind = "Node";
    event.object.name = event.object.uid = node_name;  // tools look node events up by the name as UID
    event.type = type;
    event.reason = reason;
    event.message = message;
    event.time = now;
    out.push_back(std::move(event));
  };
  if (before != nullptr && !before->info.boot_id.empty() && before->info.boot_id != after.info.boot_id)
    add(model::EventType::kWarning, "Rebooted", fmt::format("Node {} has been rebooted, boot id: {}", node_name, after.info.boot_id));
  for (const auto& condition : after.conditions) {
    const auto* old = before != nullptr ? find_condition(*before, condition.type) : nullptr;
    if (old != nullptr && old->status == condition.status) continue;
    if (condition.type == kProgramSetCondition) continue;  // whoever switches sets tells of it (reconcile/program_set_keeper.h)
    std::string reason;
    if (condition.type == "Ready")
      reason = condition.status == ConditionStatus::kTrue ? "NodeReady" : "NodeNotReady";
    else
      reason = "NodeHas" + condition.reason.substr(std::string_view("KubeletHas").size());
    add(model::EventType::kNormal, reason, fmt::format("Node {} status is now: {}", node_name, reason));
  }
  return out;
}

}  // namespace pintle::node
