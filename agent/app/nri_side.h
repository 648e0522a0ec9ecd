// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The wiring of NRI in mode companion: the gate, the plugin behind the runtime's socket, and how both are told to people.
// Thread rule: start() and stop() on one thread; the rest from any.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "app/companion.h"
#include "app/pod_gate.h"
#include "config/config.h"
#include "nri/plugin.h"
#include "ports/agent_view.h"

namespace pintle::app {

class NriSide {
 public:
  struct Parts {
    const Clock& clock;
    reconcile::LoopThread& loop;
    policy::PolicyEngine& policies;
    ports::ProgramAttacher& attacher;
    ports::EventSink& events;
    Companion& companion;
    std::function<void(const ports::ComponentState&)> told;
  };
  // REQUIRES: all outlive this.
  NriSide(const config::AgentConfig& config, Parts parts);

  [[nodiscard]] Status start();
  void stop();
  [[nodiscard]] ports::HookCounts counts() const;
  [[nodiscard]] ports::DoctorCheck check() const;

 private:
  [[nodiscard]] ports::ComponentState component(const nri::PluginState& state) const;

  const config::NriOptions options_;
  const Parts parts_;
  PodGate gate_;
  nri::Plugin plugin_;
};

}  // namespace pintle::app
