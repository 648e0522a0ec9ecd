// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What agents with other layouts of maps and records left under the same folder ("v1" beside "v2"). Their links go on working on their own
// maps until the pod is attached anew: then the new ones are there already, and these are detached.
// Thread rule: calls for one pod are serial by the caller.
#pragma once

#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "bpf/layout.h"

namespace pintle::bpf {

class OldSchemas {
 public:
  OldSchemas() = default;
  // Looks once which there are.
  [[nodiscard]] static OldSchemas find(const PinLayout& layout);

  // Pods that have links there.
  [[nodiscard]] std::vector<PodUid> list_pods() const;
  // Detaches the pod's links there; the last one takes the whole schema with it. Absent is success.
  [[nodiscard]] Status drop_pod(const PodUid& uid) const;
  // Its tracepoints would tell of the same exits into rings that nobody reads.
  void drop_shared_links() const;

 private:
  std::vector<PinLayout> others_;
};

}  // namespace pintle::bpf
