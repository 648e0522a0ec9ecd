// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Object metadata as every Kubernetes object carries it. Plain values, no I/O.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"

namespace pintle::model {

using StringMap = std::map<std::string, std::string>;

struct OwnerReference {
  std::string api_version, kind, name, uid;
  bool controller = false;
  bool operator==(const OwnerReference&) const = default;
};

struct ObjectMeta {
  std::string name;
  std::string namespace_ = "default";
  std::string uid;
  std::string resource_version;
  int64_t generation = 0;
  StringMap labels;
  StringMap annotations;
  std::vector<OwnerReference> owner_references;
  std::vector<std::string> finalizers;
  std::optional<Time> creation_timestamp;
  std::optional<Time> deletion_timestamp;
  std::optional<int64_t> deletion_grace_period_seconds;
  bool operator==(const ObjectMeta&) const = default;
};

struct ObjectReference {
  std::string api_version, kind, namespace_, name, uid, resource_version, field_path;
  bool operator==(const ObjectReference&) const = default;
};

}  // namespace pintle::model
