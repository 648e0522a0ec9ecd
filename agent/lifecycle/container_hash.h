// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The hash that tells whether a running container is still the one that is asked for (facts row 9.8): FNV-32a over the
// kubelet's own rendering of the JSON of {image, name} ("([]uint8)[123 34 …]"), in hex. The same value as the kubelet's, so
// containers that a kubelet started are adopted, not restarted.
#pragma once

#include <string>

#include "model/pod.h"

namespace pintle::lifecycle {

[[nodiscard]] std::string container_hash(const model::Container& container);

}  // namespace pintle::lifecycle
