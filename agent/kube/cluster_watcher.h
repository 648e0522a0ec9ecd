// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The feed of network policies: networkpolicies of all namespaces, and while there is at least one of them also namespaces, pods of every
// node, services and endpointslices. A cluster without policies costs one idle watch. Objects are cut to what policies can see of them.
// Thread rule: one thread and connection for each kind that is watched. start() once; stop() from another thread than the sink's.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <vector>

#include "base/mutex.h"
#include "kube/list_watch.h"
#include "ports/cluster_feed.h"

namespace pintle::kube {

struct ClusterWatcherOptions {
  int page_size = 100;  // of whole pods, of which little is kept: a page is what stands in memory at once
  BackoffPolicy backoff{std::chrono::milliseconds(800), std::chrono::seconds(30)};
};

// Somebody who watches all services already.
class ServiceFeed {
 public:
  virtual ~ServiceFeed() = default;
  // Tells `sink` of what is known and of every change from now on; null: of nothing any more. When it returns nothing is told to the
  // sink before.
  virtual void follow(ports::ClusterSink* sink) = 0;
};

class ClusterWatcher {
 public:
  // REQUIRES: `clock` and `sink` outlive this.
  ClusterWatcher(Kubeconfig config, const Clock& clock, ClusterWatcherOptions options, ports::ClusterSink& sink);
  ~ClusterWatcher();

  // Services come from there instead of from a watch of this one's own. REQUIRES: before start(); `services` is there until stop().
  void share(ServiceFeed& services) { services_ = &services; }
  [[nodiscard]] Status start();
  void stop();
  [[nodiscard]] size_t watched_kinds();

 private:
  class Kind;
  void policies_known(size_t count);
  void follow_services(bool wanted) PINTLE_REQUIRES(mu_);
  [[nodiscard]] std::unique_ptr<Kind> make(ports::ClusterKind kind);

  const Kubeconfig config_;
  const Clock& clock_;
  const ClusterWatcherOptions options_;
  ports::ClusterSink& sink_;
  ServiceFeed* services_ = nullptr;  // const after start()
  std::unique_ptr<Kind> policies_;
  Mutex mu_;
  bool stopped_ PINTLE_GUARDED_BY(mu_) = false;
  bool following_ PINTLE_GUARDED_BY(mu_) = false;
  std::vector<std::unique_ptr<Kind>> others_ PINTLE_GUARDED_BY(mu_);
};

}  // namespace pintle::kube
