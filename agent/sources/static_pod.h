// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Makes a static pod of a pod read from a manifest: identity, node and toleration (facts rows 2.4, 2.8).
// Pure. The same text at the same place on the same node always gives the same UID, so a restart knows its pods again.
#pragma once

#include <string>
#include <string_view>

#include "model/status.h"

namespace pintle::sources {

struct StaticPodOrigin {
  std::string source;  // "file"
  std::string path;
  std::string node_name;
  std::string_view text;  // the pod's own document; a comment or another document beside it does not change the pod
};

// 32 hex digits of 128-bit FNV-1a.
[[nodiscard]] std::string fnv128a_hex(std::string_view bytes);
void make_static(model::Pod& pod, const StaticPodOrigin& origin, Time first_seen);

}  // namespace pintle::sources
