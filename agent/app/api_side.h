// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Everything that talks to the API server, each purpose on a connection of its own so that none starves another: lease, node
// status, pod status, events, config objects, control commands. (The pod watch has its own inside kube::PodWatcher.)
// Thread rule: create on one thread; the members are thread-safe. Lifetime: members are destroyed in reverse order.
#pragma once

#include <memory>

#include "base/time.h"
#include "config/config.h"
#include "kube/api_connection.h"
#include "kube/event_sink.h"
#include "kube/node_api.h"
#include "kube/pod_api.h"
#include "kube/rate_limiter.h"

namespace pintle::app {

class ApiSide {
 public:
  [[nodiscard]] static Result<std::unique_ptr<ApiSide>> create(const kube::Kubeconfig& kubeconfig, const config::AgentConfig& config,
                                                               const Clock& clock);

  [[nodiscard]] ports::PodApi& pods() { return pods_; }
  [[nodiscard]] ports::NodeApi& nodes() { return nodes_; }
  [[nodiscard]] ports::LeaseApi& leases() { return leases_; }
  [[nodiscard]] ports::ObjectReader& objects() { return objects_; }
  [[nodiscard]] ports::ObjectReader& quick_objects() { return quick_objects_; }  // the same within 2 s
  [[nodiscard]] ports::EventSink& events() { return *event_sink_; }
  [[nodiscard]] kube::ApiConnection& control() { return *control_; }
  [[nodiscard]] const kube::Kubeconfig& kubeconfig() const { return kubeconfig_; }

 private:
  struct Connections {
    std::unique_ptr<kube::ApiConnection> lease, node, status, objects, events, control;
  };
  ApiSide(kube::Kubeconfig kubeconfig, std::unique_ptr<kube::RateLimiter> limiter, Connections connections,
          const config::AgentConfig& config, const Clock& clock);

  const kube::Kubeconfig kubeconfig_;
  const std::unique_ptr<kube::RateLimiter> limiter_;
  const std::unique_ptr<kube::ApiConnection> lease_, node_, status_, objects_connection_, events_, control_;
  kube::KubePodApi pods_;
  kube::KubeNodeApi nodes_;
  kube::KubeLeaseApi leases_;
  kube::KubeObjectReader objects_, quick_objects_;
  std::unique_ptr<kube::KubeEventSink> event_sink_;
};

}  // namespace pintle::app
