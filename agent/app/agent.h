// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The running agent: builds every part, connects them, starts and stops them in order. The only place where adapters meet
// the core; no rule of pods is here.
// Thread rule: create(), run() and stop() as their comments say; AgentView's calls from any thread between start and stop.
// Lifetime: members are destroyed in reverse order of construction, which is the order in which they depend on one another.
#pragma once

#include <memory>
#include <string>

#include "base/time.h"
#include "config/config.h"

namespace pintle::app {

class Agent {
 public:
  // kInvalid, kUnavailable …: the text names the fix. Nothing is left running after an error.
  [[nodiscard]] static Result<std::unique_ptr<Agent>> start(const config::AgentConfig& config);
  ~Agent();
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // Ends sources, loop and connections; containers go on running. Idempotent.
  void stop();
  // Whether the loop turns: what the watchdog asks.
  [[nodiscard]] bool alive();
  [[nodiscard]] std::string summary() const;  // one line for people: mode, node, API, runtime

 private:
  class Parts;
  explicit Agent(std::unique_ptr<Parts> parts);
  std::unique_ptr<Parts> parts_;
};

// Removes the pins, links and empty cgroups that an agent with this configuration left, and says
// in a line for people what there was. Refuses while one answers on its socket.
[[nodiscard]] Result<std::string> clean_up(const config::AgentConfig& config);

// Mounts the configured bpffs unless it is one already. Needs CAP_SYS_ADMIN, which the daemon beside a kubelet has not.
[[nodiscard]] Status mount_bpffs(const config::AgentConfig& config);

}  // namespace pintle::app
