// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam through which the cluster's network policies, and what their selectors can find, reach whoever compiles them. Each kind
// comes as a whole set first and as changes afterwards; while there is no policy the other kinds are not told at all.
// Thread rule: any thread; changes of one kind come one at a time. A sink must not call back into the feed.
#pragma once

#include <string>
#include <variant>
#include <vector>

#include "model/network_policy.h"

namespace pintle::ports {

enum class ClusterKind { kPolicies, kNamespaces, kPods, kServices, kEndpointSlices };
inline constexpr ClusterKind kAllClusterKinds[] = {ClusterKind::kPolicies, ClusterKind::kNamespaces, ClusterKind::kPods,
                                                   ClusterKind::kServices, ClusterKind::kEndpointSlices};

using ClusterObject =
    std::variant<model::NetworkPolicy, model::NamespaceView, model::PodView, model::ServiceView, model::EndpointSliceView>;

// An object that can't be read. What was known of it stands; of a policy of which nothing is known, `closed` does.
struct ClusterUnreadable {
  ClusterKind kind = ClusterKind::kPolicies;
  std::string namespace_, name, error;
  model::NetworkPolicy closed;  // kPolicies only
};
struct ClusterSet {
  ClusterKind kind = ClusterKind::kPolicies;
  std::vector<ClusterObject> objects;
  std::vector<ClusterUnreadable> unreadable;
};
struct ClusterUpsert {
  ClusterObject object;
};
struct ClusterGone {
  ClusterKind kind = ClusterKind::kPolicies;
  std::string namespace_, name;
};
// The last policy has gone: the other kinds are not watched any more, and nothing is known of them.
struct ClusterUnwatched {};
// The kind can't be listed or watched just now; empty: it can again.
struct ClusterTrouble {
  ClusterKind kind = ClusterKind::kPolicies;
  std::string error;
};
using ClusterChange = std::variant<ClusterSet, ClusterUpsert, ClusterGone, ClusterUnreadable, ClusterUnwatched, ClusterTrouble>;

class ClusterSink {
 public:
  virtual ~ClusterSink() = default;
  virtual void deliver(ClusterChange change) = 0;
};

}  // namespace pintle::ports
