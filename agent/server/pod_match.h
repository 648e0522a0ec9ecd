// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Which pods a request means. Empty strings mean "any". Internal to server.
#pragma once

#include <algorithm>
#include <string>
#include <tuple>
#include <vector>

#include "ports/agent_view.h"

namespace pintle::server {

[[nodiscard]] inline bool matches(const std::string& namespace_, const std::string& name, const std::string& wanted_namespace,
                                  const std::string& wanted_name) {
  return (wanted_namespace.empty() || namespace_ == wanted_namespace) && (wanted_name.empty() || name == wanted_name);
}

[[nodiscard]] inline bool matches(const ports::PodRecord& record, const std::string& namespace_, const std::string& name) {
  return matches(record.pod->metadata.namespace_, record.pod->metadata.name, namespace_, name);
}

[[nodiscard]] inline std::vector<ports::PodRecord> sorted_pods(ports::AgentView& agent, const std::string& namespace_,
                                                               const std::string& name) {
  auto pods = agent.list_pods();
  std::erase_if(pods, [&](const ports::PodRecord& record) { return !matches(record, namespace_, name); });
  std::ranges::sort(pods, {},
                    [](const ports::PodRecord& record) { return std::tie(record.pod->metadata.namespace_, record.pod->metadata.name); });
  return pods;
}

}  // namespace pintle::server
