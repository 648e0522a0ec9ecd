// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The ConfigMaps and Secrets of this node's pods and the feed that keeps them current: a watch of each by its name at a cluster's
// server, one of all at the embedded endpoint. Thread rule: start() and stop() on one thread; the objects from any.
#pragma once

#include <functional>
#include <memory>

#include "base/time.h"
#include "config/config.h"
#include "kube/all_objects_watcher.h"
#include "kube/object_watcher.h"
#include "reconcile/pod_objects.h"

namespace pintle::app {

class ObjectSide {
 public:
  // REQUIRES: `readers`, `clock`, `memory` and what `pod_changed` uses outlive this. `memory`: null: a restart remembers nothing.
  ObjectSide(reconcile::PodObjects::Readers readers, const kube::Kubeconfig& kubeconfig, config::Mode mode, const Clock& clock,
             std::function<void(const PodUid&)> pod_changed, ports::ObjectMemory* memory);
  ~ObjectSide();

  [[nodiscard]] Status start();
  void stop();
  [[nodiscard]] reconcile::PodObjects& objects() { return objects_; }

 private:
  reconcile::PodObjects objects_;
  // One of the two.
  std::unique_ptr<kube::ObjectWatcher> each_;
  std::unique_ptr<kube::AllObjectsWatcher> all_;
};

}  // namespace pintle::app
