// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Which of two states of an API object is the older one. Pure. Versions that are no numbers are never older.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>

#include "model/status.h"

namespace pintle::reconcile {

[[nodiscard]] inline std::optional<uint64_t> version_number(const model::Pod& pod) {
  const std::string& text = pod.metadata.resource_version;
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// A watch may tell an older state after a write has answered with a newer one.
[[nodiscard]] inline bool is_older(const model::Pod& candidate, const model::Pod& known) {
  const auto a = version_number(candidate), b = version_number(known);
  return a && b && *a < *b;
}

[[nodiscard]] inline bool same_version(const model::Pod& a, const model::Pod& b) {
  return a.metadata.uid == b.metadata.uid && a.metadata.resource_version == b.metadata.resource_version;
}

// Whether a write's answer is to take the place of `known`. Of one version the watch's copy is kept: everybody shares that one.
[[nodiscard]] inline bool replaces(const model::Pod& answer, const model::Pod& known) {
  return !is_older(answer, known) && !(same_version(answer, known) && answer.status == known.status);
}

}  // namespace pintle::reconcile
