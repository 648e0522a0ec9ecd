// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Names for the uids of events. Asks the agent again only for a uid it has not met. Thread rule: one thread.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "ports/agent_view.h"

namespace pintle::ports {

class PodNames {
 public:
  using Name = std::pair<std::string, std::string>;  // namespace, name; both empty if it is a pod no more

  explicit PodNames(AgentView& agent) : agent_(agent) {}
  [[nodiscard]] const Name& find(const std::string& uid) {
    static const Name kNone;
    if (uid.empty()) return kNone;
    const auto known = names_.find(uid);
    if (known != names_.end()) return known->second;
    if (names_.size() > kMostNames) names_.clear();
    for (const auto& record : agent_.list_pods())
      names_[record.pod->metadata.uid] = {record.pod->metadata.namespace_, record.pod->metadata.name};
    return names_[uid];  // remembered as nameless
  }

 private:
  static constexpr size_t kMostNames = 4096;
  AgentView& agent_;
  std::map<std::string, Name> names_;
};

}  // namespace pintle::ports
