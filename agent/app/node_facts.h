// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the configuration and the machine say about the node, in the shapes that lifecycle and node want. Reads files, once.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "config/config.h"
#include "lifecycle/decide.h"
#include "model/policy_rows.h"
#include "node/node_object.h"

namespace pintle::app {

// The addresses the node is known by: configured, or those of the default route, or loopback where there is none.
[[nodiscard]] std::vector<std::string> node_addresses(const config::AgentConfig& config);

// Every address of this machine's own network but loopback, as it is now: bridges and veths come with the first pods.
[[nodiscard]] std::vector<model::IpAddress> interface_addresses();

// The same of another network namespace, by its folder /proc/<pid>/net: what a pod that has a network of its own sees of its node.
[[nodiscard]] std::vector<model::IpAddress> node_addresses_of(const std::string& folder);

[[nodiscard]] node::NodeSettings node_settings(const config::AgentConfig& config, const std::vector<std::string>& addresses,
                                               const node::MachineInfo& machine);

// All but the runtime's state, which changes.
[[nodiscard]] lifecycle::NodeFacts node_facts(const config::AgentConfig& config, const std::vector<std::string>& addresses,
                                              const node::NodeSettings& settings, const node::MachineInfo& machine);

}  // namespace pintle::app
