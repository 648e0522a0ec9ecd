// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The node object (facts section 7), leases, events and config objects as values.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/meta.h"
#include "model/pod.h"
#include "model/status.h"

namespace pintle::model {

struct NodeAddress {
  std::string type, address;  // InternalIP, Hostname
  bool operator==(const NodeAddress&) const = default;
};
struct NodeCondition {
  std::string type;  // MemoryPressure, DiskPressure, PIDPressure, Ready
  ConditionStatus status = ConditionStatus::kUnknown;
  std::string reason, message;
  Time last_heartbeat_time, last_transition_time;
  bool operator==(const NodeCondition&) const = default;
};
struct NodeSystemInfo {
  std::string machine_id, system_uuid, boot_id, kernel_version, os_image, container_runtime_version, kubelet_version, operating_system,
      architecture;
  bool operator==(const NodeSystemInfo&) const = default;
};
struct NodeImage {
  std::vector<std::string> names;
  uint64_t size_bytes = 0;
  bool operator==(const NodeImage&) const = default;
};
struct Taint {
  std::string key, value, effect;
  bool operator==(const Taint&) const = default;
};
struct NodeStatus {
  ResourceList capacity, allocatable;
  std::vector<NodeCondition> conditions;
  std::vector<NodeAddress> addresses;
  NodeSystemInfo info;
  std::vector<NodeImage> images;
  int32_t kubelet_port = 0;  // 0: no endpoint published
  bool operator==(const NodeStatus&) const = default;
};
struct Node {
  ObjectMeta metadata;
  std::vector<Taint> taints;
  std::vector<std::string> pod_cidrs;
  NodeStatus status;
  bool operator==(const Node&) const = default;
};

struct Lease {
  ObjectMeta metadata;
  std::string holder_identity;
  int32_t duration_seconds = 40;
  Time renew_time;
};

enum class EventType { kNormal, kWarning };
// An event as the core wishes it recorded; names, counts and aggregation are the recorder's.
struct Event {
  ObjectReference object;
  EventType type = EventType::kNormal;
  std::string reason, message;
  Time time;
  bool operator==(const Event&) const = default;
};

struct ConfigMap {
  ObjectMeta metadata;
  StringMap data, binary_data;  // binary_data decoded
  bool immutable = false;
};
struct Secret {
  ObjectMeta metadata;
  std::string type;
  StringMap data;  // decoded
  bool immutable = false;
};

}  // namespace pintle::model
