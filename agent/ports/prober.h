// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to one attempt of a probe or of a lifecycle hook (facts sections 11 and 12). Blocks at most the probe's timeout.
// Thread rule: any thread.
#pragma once

#include <stop_token>
#include <string>

#include "model/runtime.h"
#include "model/status.h"

namespace pintle::ports {

enum class ProbeOutcome { kSuccess, kFailure, kError };
struct ProbeReport {
  ProbeOutcome outcome = ProbeOutcome::kError;
  std::string output;  // as it stands in the event: "HTTP probe failed with statuscode: 503"
};
struct ProbeTarget {
  ContainerId container;
  const model::Container& spec;
  std::string pod_ip;
};

class Prober {
 public:
  virtual ~Prober() = default;
  [[nodiscard]] virtual ProbeReport probe(const ProbeTarget& target, const model::Probe& probe, std::stop_token stop) = 0;
  // Runs a postStart or preStop action.
  [[nodiscard]] virtual Status run_hook(const ProbeTarget& target, const model::HookAction& action, std::stop_token stop) = 0;
};

}  // namespace pintle::ports
