// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The cluster's services, for the variables that containers are told (facts rows 13.3, 13.4) and, while there is one, for the network
// policies: one watch, of which names, selectors, addresses and ports are kept. Until they were read once nobody can tell which there are;
// one that can't be read is told, and hides no other. Thread rule: as ListWatch; of_pod() on any thread. start()
// once; stop() from another thread than the output's.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "kube/cluster_watcher.h"
#include "kube/list_watch.h"
#include "model/network_policy.h"

namespace pintle::kube {

struct ServiceWatcherOptions {
  int page_size = 100;  // of whole services, of which little is kept: a page is what stands in memory at once
  BackoffPolicy backoff{std::chrono::milliseconds(800), std::chrono::seconds(30)};
};

class ServiceWatcher final : public ServiceFeed, private WatchedKind {
 public:
  // `trouble`: services can't be read now, or one of them can't; empty: all is well. Told when it changes.
  // REQUIRES: `clock` and what `trouble` uses outlive this.
  ServiceWatcher(Kubeconfig config, const Clock& clock, const ServiceWatcherOptions& options,
                 std::function<void(const std::string& error)> trouble);
  ~ServiceWatcher() override;

  [[nodiscard]] Status start();
  void stop();
  [[nodiscard]] WatchCounts counts() const { return watch_.counts(); }
  void follow(ports::ClusterSink* sink) override;

  // The namespace's services, and default/kubernetes; in order. Waits for the first list as long as `patience`. kUnavailable: they were not
  // read yet, with why; kCancelled.
  [[nodiscard]] Result<std::vector<model::ServiceView>> of_pod(const std::string& namespace_, Duration patience, std::stop_token stop);

 private:
  using Name = std::pair<std::string, std::string>;  // namespace, name
  using Services = std::map<Name, model::ServiceView>;
  void list_begins() override;
  [[nodiscard]] Result<ListHead> page(const std::string& body) override;
  void list_ends() override;
  void changed(std::string_view object_json, bool deleted) override;
  void trouble(Trouble trouble, const std::string& error) override;
  [[nodiscard]] std::optional<model::ServiceView> take(const Name& name, std::string_view json);
  void note_nameless(const std::string& place, std::string_view json);
  [[nodiscard]] ports::ClusterSet everything() const PINTLE_REQUIRES(told_mu_, mu_);
  void relay(ports::ClusterChange change) PINTLE_REQUIRES(told_mu_);
  void tell();

  const std::function<void(const std::string& error)> trouble_;
  // own thread
  Services fresh_;  // of the list under way
  std::string told_;
  // Held while the follower is told, so that it hears of everything in order. Before mu_.
  Mutex told_mu_;
  ports::ClusterSink* follower_ PINTLE_GUARDED_BY(told_mu_) = nullptr;
  std::map<Name, std::string> unreadable_ PINTLE_GUARDED_BY(told_mu_);  // with why
  std::string api_error_ PINTLE_GUARDED_BY(told_mu_);
  Mutex mu_;
  ConditionVariable read_;
  bool synced_ PINTLE_GUARDED_BY(mu_) = false;
  std::string why_not_ PINTLE_GUARDED_BY(mu_);
  Services services_ PINTLE_GUARDED_BY(mu_);
  ListWatch watch_;
};

}  // namespace pintle::kube
