// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A pod's status as published to the API (facts rows 6.x), and the pod as a whole. Plain values.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "model/pod.h"

namespace pintle::model {

enum class Phase { kPending, kRunning, kSucceeded, kFailed, kUnknown };
enum class ConditionStatus { kTrue, kFalse, kUnknown };

struct Condition {
  std::string type;
  ConditionStatus status = ConditionStatus::kUnknown;
  std::string reason, message;
  std::optional<Time> last_transition_time;
  int64_t observed_generation = 0;
  bool operator==(const Condition&) const = default;
};

struct StateWaiting {
  std::string reason, message;
  bool operator==(const StateWaiting&) const = default;
};
struct StateRunning {
  Time started_at;
  bool operator==(const StateRunning&) const = default;
};
struct StateTerminated {
  int32_t exit_code = 0;
  int32_t signal = 0;
  std::string reason, message, container_id;  // container_id as "containerd://…"
  Time started_at, finished_at;
  bool operator==(const StateTerminated&) const = default;
};
using ContainerState = std::variant<std::monostate, StateWaiting, StateRunning, StateTerminated>;

struct ContainerStatus {
  std::string name, image, image_id, container_id;
  bool ready = false;
  std::optional<bool> started;
  int32_t restart_count = 0;
  ContainerState state, last_state;
  std::vector<VolumeMount> volume_mounts;
  Resources resources;
  ResourceList allocated_resources;
  bool operator==(const ContainerStatus&) const = default;
};

struct PodStatus {
  Phase phase = Phase::kPending;
  std::string reason, message;
  int64_t observed_generation = 0;
  std::vector<Condition> conditions;
  std::string host_ip;
  std::vector<std::string> host_ips, pod_ips;  // pod_ips[0] is status.podIP
  std::optional<Time> start_time;
  std::optional<QosClass> qos_class;
  std::vector<ContainerStatus> init_container_statuses, container_statuses, ephemeral_container_statuses;
  bool operator==(const PodStatus&) const = default;
};

struct Pod {
  ObjectMeta metadata;
  PodSpec spec;
  PodStatus status;  // as the source last had it
  bool operator==(const Pod&) const = default;

  [[nodiscard]] PodUid uid() const { return PodUid(metadata.uid); }
  [[nodiscard]] std::string full_name() const { return metadata.namespace_ + "/" + metadata.name; }
};

// Enum names exactly as the API spells them ("Always", "IfNotPresent", "Running" …).
[[nodiscard]] std::string_view to_string(RestartPolicy value);
[[nodiscard]] std::string_view to_string(PullPolicy value);
[[nodiscard]] std::string_view to_string(Protocol value);
[[nodiscard]] std::string_view to_string(DnsPolicy value);
[[nodiscard]] std::string_view to_string(QosClass value);
[[nodiscard]] std::string_view to_string(Phase value);
[[nodiscard]] std::string_view to_string(ConditionStatus value);
[[nodiscard]] std::string_view to_string(MessagePolicy value);

[[nodiscard]] const Condition* find_condition(const PodStatus& status, std::string_view type);
[[nodiscard]] inline bool is_terminal(Phase phase) { return phase == Phase::kSucceeded || phase == Phase::kFailed; }

}  // namespace pintle::model
