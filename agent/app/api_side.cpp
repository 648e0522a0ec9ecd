// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/api_side.h"

#include <algorithm>

namespace pintle::app {
namespace {

// Beside a kubelet an event must not seem to be the kubelet's.
kube::KubeEventSink::Options event_source(const config::AgentConfig& config) {
  return {.component = config.pintle.mode == config::Mode::kCompanion ? "pintle" : "kubelet", .host = config.pintle.node_name};
}

}  // namespace

ApiSide::ApiSide(kube::Kubeconfig kubeconfig, std::unique_ptr<kube::RateLimiter> limiter, Connections connections,
                 const config::AgentConfig& config, const Clock& clock)
    : kubeconfig_(std::move(kubeconfig)),
      limiter_(std::move(limiter)),
      lease_(std::move(connections.lease)),
      node_(std::move(connections.node)),
      status_(std::move(connections.status)),
      objects_connection_(std::move(connections.objects)),
      events_(std::move(connections.events)),
      control_(std::move(connections.control)),
      pods_(*status_),
      nodes_(*node_),
      leases_(*lease_),
      objects_(*objects_connection_),
      quick_objects_(*objects_connection_, std::chrono::seconds(2)),
      event_sink_(std::make_unique<kube::KubeEventSink>(*events_, clock, event_source(config))) {}

Result<std::unique_ptr<ApiSide>> ApiSide::create(const kube::Kubeconfig& kubeconfig, const config::AgentConfig& config,
                                                 const Clock& clock) {
  auto limiter = std::make_unique<kube::RateLimiter>(clock, config.kube_api_qps, config.kube_api_burst);
  // Row 1.6: heartbeats are not limited, and give up within min(status period, lease).
  const Duration heartbeat = std::min<Duration>(config.node_status_update_frequency, config.node_lease_duration);
  const auto connect = [&](const char* name, kube::RateLimiter* shared, Duration deadline) {
    return kube::ApiConnection::create(kubeconfig, clock, {.name = name, .deadline = deadline, .limiter = shared});
  };
  Connections made;
  PINTLE_ASSIGN_OR_RETURN(made.lease, connect("lease", nullptr, heartbeat));
  PINTLE_ASSIGN_OR_RETURN(made.node, connect("node-status", nullptr, heartbeat));
  PINTLE_ASSIGN_OR_RETURN(made.status, connect("pod-status", limiter.get(), std::chrono::seconds(10)));
  PINTLE_ASSIGN_OR_RETURN(made.objects, connect("objects", limiter.get(), std::chrono::seconds(10)));
  PINTLE_ASSIGN_OR_RETURN(made.events, connect("events", limiter.get(), std::chrono::seconds(10)));
  PINTLE_ASSIGN_OR_RETURN(made.control, connect("control", nullptr, std::chrono::seconds(30)));
  return std::unique_ptr<ApiSide>(new ApiSide(kubeconfig, std::move(limiter), std::move(made), config, clock));
}

}  // namespace pintle::app
