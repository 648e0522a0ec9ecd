// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The control service (proto/pintle/v1/control.proto) on a unix socket: what pintlectl talks to. Not the node's HTTPS API.
// Connections are accepted by control_socket.h, which checks who calls; gRPC gets only descriptors that may speak.
// Thread rule: start and stop from one thread; AgentView and LogReader are called on gRPC's threads (at most kMaxThreads).
// Lifetime: both outlive the service. stop() ends open streams at once and waits for running calls; the destructor stops.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include <sys/types.h>

#include "base/result.h"
#include "base/time.h"
#include "ports/agent_view.h"
#include "ports/log_reader.h"

namespace pintle::server {

struct ControlOptions {
  std::string socket_path = "/run/pintle/pintle.sock";
  std::optional<gid_t> group;    // its members may call; absent: only root and the daemon's own user
  const Clock* clock = nullptr;  // outlives the service; null: the system's
};

class ControlService {
 public:
  // More calls than threads wait their turn or are told RESOURCE_EXHAUSTED; a stream holds one thread while it lasts.
  static constexpr int kMaxThreads = 24;

  // As ControlSocket::bind; kInternal: gRPC would not start.
  [[nodiscard]] static Result<std::unique_ptr<ControlService>> start(ports::AgentView& agent, ports::LogReader& logs,
                                                                     ControlOptions options);
  virtual ~ControlService() = default;
  // Idempotent.
  virtual void stop() = 0;
  // Events of programs that readers of its streams got after a younger one. Any thread.
  [[nodiscard]] virtual uint64_t late_events() const = 0;

 protected:
  ControlService() = default;
};

}  // namespace pintle::server
