// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The annotations a node agent adds to pods for itself (facts row 2.4).
#pragma once

#include <string_view>

namespace pintle::sources {

inline constexpr std::string_view kConfigHash = "kubernetes.io/config.hash";      // of a static pod: its UID
inline constexpr std::string_view kConfigSource = "kubernetes.io/config.source";  // file, http, api
inline constexpr std::string_view kConfigSeen = "kubernetes.io/config.seen";      // when first seen, RFC 3339 with nanoseconds
inline constexpr std::string_view kConfigMirror = "kubernetes.io/config.mirror";  // on the API's copy of a static pod: its hash

}  // namespace pintle::sources
