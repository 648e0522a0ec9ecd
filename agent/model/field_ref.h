// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The downward API: fields of a pod and resources of its containers as text (facts rows 13.5, 13.6, 14.15). Pure.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "model/status.h"

namespace pintle::model {

struct FieldContext {
  std::string node_name;
  std::vector<std::string> host_ips, pod_ips;
  ResourceList allocatable;  // stands in for limits a container does not set
};

// "metadata.name", "metadata.labels['app']", "metadata.labels" (all, one key="value" a line), "status.podIP" …  kInvalid names the path.
[[nodiscard]] Result<std::string> resolve_field(const Pod& pod, const std::string& path, const FieldContext& context);
// "limits.cpu" … of `ref.container_name`, or of `container` when that is empty; divided by the divisor, rounded up.
[[nodiscard]] Result<std::string> resolve_resource(const Pod& pod, const Container* container, const ResourceFieldRef& ref,
                                                   const FieldContext& context);

}  // namespace pintle::model
