// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam between the embedded API endpoint and its disk: the newest state of every object, and the resource versions
// handed out so far. Not a history: the watch window is the endpoint's own, in memory.
// Thread rule: one writer at a time (the endpoint's). Errors: kUnavailable (disk), kInternal.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"

namespace pintle::ports {

struct ObjectKey {
  std::string resource;  // "pods", "leases.coordination.k8s.io"
  std::string namespace_, name;
  auto operator<=>(const ObjectKey&) const = default;
};

struct LoggedObject {
  ObjectKey key;
  std::string uid;
  int64_t resource_version = 0;
  std::string json;
};

struct LoggedObjects {
  std::vector<LoggedObject> objects;
  int64_t versions_reserved = 0;     // no version above this was ever handed out
  std::vector<std::string> damaged;  // records that failed their checksum, by key: left out of `objects`, kept on disk
};

class ObjectLog {
 public:
  enum class Durability {
    kRelaxed,  // survives a crash of the agent; a power cut may take the newest
    kSynced,   // on the disk before the call returns: what a user was told is done
  };
  virtual ~ObjectLog() = default;

  [[nodiscard]] virtual Result<LoggedObjects> load() = 0;
  [[nodiscard]] virtual Status put(const LoggedObject& object, Durability durability) = 0;
  [[nodiscard]] virtual Status erase(const ObjectKey& key, Durability durability) = 0;  // absent is success
  // After this, versions up to `version` may be handed out without another write.
  [[nodiscard]] virtual Status reserve_versions(int64_t version) = 0;
};

}  // namespace pintle::ports
