// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/object_side.h"

namespace pintle::app {

ObjectSide::ObjectSide(reconcile::PodObjects::Readers readers, const kube::Kubeconfig& kubeconfig, config::Mode mode, const Clock& clock,
                       std::function<void(const PodUid&)> pod_changed, ports::ObjectMemory* memory)
    : objects_(readers, clock, std::move(pod_changed), memory) {
  if (mode == config::Mode::kStandalone)
    all_ = std::make_unique<kube::AllObjectsWatcher>(kubeconfig, clock, kube::AllObjectsWatcherOptions(), objects_);
  else
    each_ = std::make_unique<kube::ObjectWatcher>(kubeconfig, clock, kube::ObjectWatcherOptions(), objects_);
}
ObjectSide::~ObjectSide() { stop(); }

Status ObjectSide::start() {
  PINTLE_TRY(all_ ? all_->start() : each_->start());
  objects_.use(all_ ? static_cast<ports::ObjectFeed*>(all_.get()) : each_.get());
  return {};
}

void ObjectSide::stop() {
  objects_.use(nullptr);
  if (all_) all_->stop();
  if (each_) each_->stop();
}

}  // namespace pintle::app
