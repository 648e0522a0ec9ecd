// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to cgroups of pods that somebody else makes: the kubelet, or the runtime it asks. They are found by the pod's uid in the
// name of the directory, wherever it lies, and never made, changed or removed. (Those that we make: ports/cgroup_tree.h.)
// Thread rule: any thread. Errors: kUnsupported (no v2 hierarchy on this host), kInternal.
#pragma once

#include <optional>

#include "ports/cgroup_tree.h"

namespace pintle::ports {

struct FoundCgroup {
  PodCgroup cgroup;
  bool populated = true;  // a process lives in it or below
};

class PodCgroupFinder {
 public:
  virtual ~PodCgroupFinder() = default;
  // As the tree is now; nullopt: there is none (yet, or any more).
  [[nodiscard]] virtual Result<std::optional<FoundCgroup>> find(const PodUid& uid) = 0;
};

}  // namespace pintle::ports
