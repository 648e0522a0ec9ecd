// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/pod_feed.h"

#include "base/log.h"

namespace pintle::app {

void PodFeed::take(sources::PodChanges changes) {
  for (const auto& problem : changes.problems) {
    view_.set_problem(changes.source, problem.origin, problem.error, clock_.now());
    if (problem.error.empty()) continue;
    PINTLE_LOG(kWarning, "sources", "{}", problem.error);
    events_.record({.object = {.api_version = "v1", .kind = "Node", .name = view_.node_name()},
                    .type = model::EventType::kWarning,
                    .reason = "FailedValidation",
                    .message = problem.error,
                    .time = clock_.now()});
  }
  for (const auto* list : {&changes.updated, &changes.deleting, &changes.status_only})
    for (const auto& pod : *list)
      if (driven_.executor != nullptr) driven_.executor->pod_changed(pod);
  const bool ready = changes.all_sources_ready && !ready_;
  if (driven_.objects != nullptr) refer(changes);
  if (driven_.objects != nullptr && ready) driven_.objects->pods_ready();
  ready_ = ready_ || changes.all_sources_ready;
  auto shared = std::make_shared<const sources::PodChanges>(std::move(changes));
  loop_.post([shared, ready](reconcile::PodLoop& pods, Time now) {
    for (const auto& gone : shared->removed) pods.remove_pod(gone.uid, now, gone.traceparent);
    for (const auto* list : {&shared->added, &shared->updated, &shared->deleting, &shared->status_only})
      for (const auto& pod : *list) pods.set_pod(pod, shared->source, now);
    if (ready) pods.set_sources_ready(now);
  });
  // After the loop: a plan that changes by this makes the loop ask for it, and it must know the pod's newest version then.
  for (const auto* list : {&shared->added, &shared->updated, &shared->deleting, &shared->status_only})
    for (const auto& pod : *list) {
      policies_.set_pod(*pod);
      programs_.set_pod(*pod);
    }
  for (const auto& gone : shared->removed) policies_.remove_pod(gone.uid);
  if (ready) policies_.set_pods_ready();
}

// Before the loop: what it reads for a pod is kept only if the pod is known to refer to it.
void PodFeed::refer(const sources::PodChanges& changes) {
  for (const auto& gone : changes.removed) driven_.objects->remove_pod(gone.uid);
  for (const auto* list : {&changes.added, &changes.updated, &changes.deleting, &changes.status_only})
    for (const auto& pod : *list) driven_.objects->set_pod(*pod);
}

}  // namespace pintle::app
