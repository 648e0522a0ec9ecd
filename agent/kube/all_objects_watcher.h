// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Changes of ConfigMaps and Secrets from one watch of all of each kind: for the embedded endpoint, whose objects are this node's own and
// where a watch costs a thread of the same process. For a cluster's server: object_watcher.h. What is asked for later is told with its
// next change. Thread rule: one thread and connection for each kind; watch() on any. start() once; stop() from another thread than the
// sink's.
#pragma once

#include <map>
#include <memory>
#include <set>

#include "base/mutex.h"
#include "kube/list_watch.h"
#include "ports/object_feed.h"

namespace pintle::kube {

struct AllObjectsWatcherOptions {
  int page_size = 20;  // of up to a megabyte each
  BackoffPolicy backoff{std::chrono::milliseconds(200), std::chrono::seconds(5)};
};

class AllObjectsWatcher final : public ports::ObjectFeed {
 public:
  // REQUIRES: `clock` and `sink` outlive this.
  AllObjectsWatcher(const Kubeconfig& config, const Clock& clock, const AllObjectsWatcherOptions& options, ports::ObjectSink& sink);
  ~AllObjectsWatcher() override;

  [[nodiscard]] Status start();
  void stop();
  void watch(std::set<ports::ConfigKey> keys) override;

 private:
  class Kind;
  [[nodiscard]] std::set<ports::ConfigKey> asked(ports::ConfigKind kind);
  [[nodiscard]] bool is_asked(const ports::ConfigKey& key);

  ports::ObjectSink& sink_;
  Mutex mu_;
  std::set<ports::ConfigKey> keys_ PINTLE_GUARDED_BY(mu_);
  const std::unique_ptr<Kind> config_maps_, secrets_;
};

}  // namespace pintle::kube
