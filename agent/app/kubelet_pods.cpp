// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/kubelet_pods.h"

#include <algorithm>

#include "reconcile/static_pods.h"

namespace pintle::app {

ports::PodPtr KubeletPods::as_kubelet_knows_it(const ports::PodPtr& pod) {
  const std::string hash = reconcile::annotation(*pod, reconcile::kMirrorAnnotation);
  if (hash.empty()) return pod;
  mirrors_.insert_or_assign(pod->uid(), PodUid(hash));
  auto known = std::make_shared<model::Pod>(*pod);
  known->metadata.uid = hash;
  // One that is no mirror any more: the loop would look for its manifest.
  known->metadata.annotations.erase(std::string(reconcile::kMirrorAnnotation));
  return known;
}

void KubeletPods::deliver(const std::string& source, ports::PodChange change) {
  if (auto* set = std::get_if<ports::PodSet>(&change)) {
    mirrors_.clear();
    for (auto& pod : set->pods) pod = as_kubelet_knows_it(pod);
  } else if (auto* upsert = std::get_if<ports::PodUpsert>(&change)) {
    upsert->pod = as_kubelet_knows_it(upsert->pod);
  } else if (auto* gone = std::get_if<ports::PodGone>(&change)) {
    if (const auto mirror = mirrors_.find(gone->uid); mirror != mirrors_.end()) {
      gone->uid = mirror->second;
      mirrors_.erase(mirror);
      // Made anew under another uid before the old one went: the static pod has not gone.
      if (std::ranges::any_of(mirrors_, [&](const auto& other) { return other.second == gone->uid; })) return;
    }
  }
  sink_->deliver(source, std::move(change));
}

}  // namespace pintle::app
