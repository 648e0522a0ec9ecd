// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to what is remembered of ConfigMaps and Secrets over a restart of the agent, for the time in which the API can't be asked.
// Thread rule: any thread. What can't be kept is told by the implementation: it is no reason to fail.
#pragma once

#include <optional>
#include <set>

#include "base/ids.h"
#include "ports/object_feed.h"

namespace pintle::ports {

class ObjectMemory {
 public:
  virtual ~ObjectMemory() = default;
  virtual void remember(const ConfigKey& key, const ConfigObject& object) = 0;
  virtual void forget(const ConfigKey& key) = 0;
  [[nodiscard]] virtual std::optional<ConfigObject> recall(const ConfigKey& key) = 0;
  // All that is referred to now, by all the pods there are: of what went while nobody looked nothing stays.
  virtual void keep_only(const std::set<ConfigKey>& keys, const std::set<PodUid>& pods) = 0;
};

}  // namespace pintle::ports
