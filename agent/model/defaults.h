// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The defaults an API server would have filled in, for pods that never passed one. Pure; idempotent.
#pragma once

#include "model/status.h"

namespace pintle::model {

// imagePullPolicy by tag, requests from limits, ports' protocol, probes' thresholds, dnsPolicy, modes, names of volumes' defaults …
void apply_defaults(Pod& pod);

// QoS class by facts row 15.1.
[[nodiscard]] QosClass qos_class(const PodSpec& spec);

}  // namespace pintle::model
