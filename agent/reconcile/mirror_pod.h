// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What a static pod's mirror in the API looks like (facts rows 2.4, 26.1). Pure.
#pragma once

#include <string>

#include "model/status.h"

namespace pintle::reconcile {

// The pod to create: name, namespace, labels, annotations and spec of the static one, marked as its mirror. With a `node_uid` the
// node owns it: an API server takes mirrors from a node only so. What an API server refuses on mirrors is left out with everything
// that leans on it: service accounts and their tokens, Secrets, ConfigMaps, claims and other objects of the API, ephemeral
// containers. The static pod itself keeps them.
[[nodiscard]] model::Pod mirror_of(const model::Pod& static_pod, const std::string& node_uid);

// The pod's status as its mirror gets it: what did not change since it was last told keeps its times (rows 6.8, 6.22), also when an
// earlier run of the agent told it.
[[nodiscard]] model::PodStatus mirror_status(const model::PodStatus& in_api, model::PodStatus wanted);

}  // namespace pintle::reconcile
