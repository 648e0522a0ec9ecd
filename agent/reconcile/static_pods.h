// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// How static pods and their mirrors in the API are told (facts rows 2.4, 26.1). Pure look-ups.
#pragma once

#include <string>
#include <string_view>

#include "model/status.h"

namespace pintle::reconcile {

inline constexpr std::string_view kMirrorAnnotation = "kubernetes.io/config.mirror";  // on the API's copy: the static pod's hash
inline constexpr std::string_view kHashAnnotation = "kubernetes.io/config.hash";
inline constexpr std::string_view kApiSource = "api";

[[nodiscard]] inline std::string annotation(const model::Pod& pod, std::string_view key) {
  const auto found = pod.metadata.annotations.find(std::string(key));
  return found == pod.metadata.annotations.end() ? std::string() : found->second;
}
[[nodiscard]] inline bool is_mirror(const model::Pod& pod) { return pod.metadata.annotations.contains(std::string(kMirrorAnnotation)); }
// What tells one version of a static pod from another.
[[nodiscard]] inline std::string static_pod_hash(const model::Pod& pod) {
  const std::string hash = annotation(pod, kHashAnnotation);
  return hash.empty() ? pod.metadata.uid : hash;
}
[[nodiscard]] inline bool is_static(std::string_view source) { return !source.empty() && source != kApiSource; }

}  // namespace pintle::reconcile
