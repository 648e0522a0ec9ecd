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
  const bool ready = changes.all_sources_ready && !ready_;
  ready_ = ready_ || changes.all_sources_ready;
  loop_.post([changes = std::move(changes), ready](reconcile::PodLoop& pods, Time now) {
    for (const auto& uid : changes.removed) pods.remove_pod(uid, now);
    for (const auto* list : {&changes.added, &changes.updated, &changes.deleting, &changes.status_only})
      for (const auto& pod : *list) pods.set_pod(pod, changes.source, now);
    if (ready) pods.set_sources_ready(now);
  });
}

}  // namespace pintle::app
