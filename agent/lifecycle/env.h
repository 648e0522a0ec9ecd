// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A container's environment from its spec (facts rows 13.1, 13.2, 13.5–13.8) and what has to be fetched for it. Pure: objects
// come through look-ups. Not here: HOSTNAME, PATH and HOME, which the runtime adds (13.10), and where service variables
// come from (13.3).
#pragma once

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "model/field_ref.h"
#include "model/status.h"

namespace pintle::lifecycle {

using EnvList = std::vector<std::pair<std::string, std::string>>;
// The data of an object of the pod's namespace; null when there is none.
using ObjectLookup = std::function<const model::StringMap*(const std::string& name)>;

struct EnvSources {
  model::FieldContext fields;
  ObjectLookup config_map, secret;
  EnvList services;  // fill what the spec does not set
};

// kNotFound: an object or a key that is not optional is missing ("couldn't find key x in ConfigMap ns/name"); kInvalid: a bad reference.
[[nodiscard]] Result<EnvList> resolve_env(const model::Pod& pod, const model::Container& container, const EnvSources& sources);

// $(VAR) by `env`; $$ is one dollar; what is unknown stays as it is (rows 9.11, 13.2).
[[nodiscard]] std::string expand(std::string_view text, const EnvList& env);

struct NeededObject {
  enum class Kind { kConfigMap, kSecret };
  Kind kind = Kind::kConfigMap;
  std::string name;
  bool optional = false;  // its absence is no error
  bool operator==(const NeededObject&) const = default;
};
// What environments refer to, each object once; optional only when every reference is.
[[nodiscard]] std::vector<NeededObject> needed_objects(const model::Container& container);
[[nodiscard]] std::vector<NeededObject> needed_objects(const model::Pod& pod);

}  // namespace pintle::lifecycle
