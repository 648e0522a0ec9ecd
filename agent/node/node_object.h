// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The node object as pure functions of settings, machine and current conditions (facts rows 7.2 to 7.11, texts as in
// golden/node.json): what to register, what its status is now, and whether that is worth a request. No I/O, no clock.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "model/ebpf.h"
#include "model/node.h"
#include "model/runtime.h"
#include "node/machine_info.h"

namespace pintle::node {

struct NodeSettings {
  std::string name;
  model::StringMap labels;             // --node-labels
  std::vector<model::Taint> taints;    // --register-with-taints
  std::vector<std::string> addresses;  // InternalIPs, primary first
  std::string hostname;                // of the Hostname address and label; empty: the name
  int kubelet_port = 10250;
  int max_pods = 110;
  int max_images = 50;
  model::ResourceList system_reserved, kube_reserved;
  uint64_t eviction_memory_bytes = uint64_t{100} << 20;  // memory.available
  uint64_t eviction_storage_bytes = 0;                   // nodefs.available as a quantity; added to the fraction
  float eviction_storage_fraction = 0.10F;               // nodefs.available; float32 as in the reference, for equal bytes
  std::string kubelet_version = "v1.36.0+pintle";
  bool controller_attaches_volumes = true;
};

// What changes while the node runs.
struct NodeFacts {
  std::optional<model::RuntimeVersion> runtime_version;
  bool runtime_answers = false;           // a status call succeeded within the last 30 s (row 1.16)
  model::RuntimeStatus runtime;           // of that call
  std::vector<std::string> other_errors;  // storage, shutdown …: each makes the node not ready (row 7.10)
  bool memory_pressure = false, disk_pressure = false, pid_pressure = false;
  std::vector<model::NodeImage> images;
  std::optional<model::ProgramSetStatus> program_set;  // none: no eBPF, and no condition tells of it
};
inline constexpr std::string_view kProgramSetCondition = "pintle.dev/ProgramSet";

[[nodiscard]] model::ResourceList capacity_of(const NodeSettings& settings, const MachineInfo& machine);
[[nodiscard]] model::ResourceList allocatable_of(const NodeSettings& settings, const MachineInfo& machine);
// Rows 5.6, 7.9, 7.10. Transition times are kept from `before` where the status is the same.
[[nodiscard]] std::vector<model::NodeCondition> conditions_of(const NodeFacts& facts, const std::vector<model::NodeCondition>& before,
                                                              Time now);
[[nodiscard]] model::NodeStatus status_of(const NodeSettings& settings, const MachineInfo& machine, const NodeFacts& facts,
                                          const model::NodeStatus& before, Time now);
[[nodiscard]] model::Node node_to_register(const NodeSettings& settings, const MachineInfo& machine, const NodeFacts& facts, Time now);

// Adds to a node that exists already what registration would have set (row 7.1). False: nothing was missing.
[[nodiscard]] bool reconcile_metadata(model::Node& existing, const model::Node& wanted);

// Row 7.4: heartbeat times alone are no difference, nor are conditions that the API has from others.
[[nodiscard]] bool differs_in_meaning(const model::NodeStatus& known, const model::NodeStatus& wanted);
[[nodiscard]] const model::NodeCondition* find_condition(const model::NodeStatus& status, std::string_view type);
[[nodiscard]] bool is_ready(const model::NodeStatus& status);

// Row 7.18: what to tell of the change from one status to the next. `before` null: the node was just registered.
[[nodiscard]] std::vector<model::Event> events_of(const std::string& node_name, const model::NodeStatus* before,
                                                  const model::NodeStatus& after, Time now);

}  // namespace pintle::node
