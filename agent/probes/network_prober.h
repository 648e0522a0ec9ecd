// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One attempt of a probe or lifecycle hook: exec through the runtime, httpGet, tcpSocket and grpc from the node (facts rows
// 11.1–11.4, 12.9–12.13). Schedules and thresholds are lifecycle's. Contract: ports/prober.h.
#pragma once

#include "base/time.h"
#include "ports/container_runtime.h"
#include "ports/prober.h"

namespace pintle::probes {

class NetworkProber final : public ports::Prober {
 public:
  // REQUIRES: `runtime` outlives this.
  explicit NetworkProber(ports::ContainerRuntime& runtime) : runtime_(runtime) {}

  [[nodiscard]] ports::ProbeReport probe(const ports::ProbeTarget& target, const model::Probe& probe, std::stop_token stop) override;
  [[nodiscard]] Status run_hook(const ports::ProbeTarget& target, const model::HookAction& action, std::stop_token stop) override;

 private:
  ports::ContainerRuntime& runtime_;
};

}  // namespace pintle::probes
