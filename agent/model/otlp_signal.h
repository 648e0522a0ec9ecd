// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The three kinds of telemetry that OpenTelemetry's protocol carries, each to a collector of its own if wanted. Plain values.
#pragma once

#include <array>
#include <cstddef>
#include <string_view>

namespace pintle::model {

enum class OtlpSignal { kTraces, kMetrics, kLogs };
inline constexpr std::array kOtlpSignals = {OtlpSignal::kTraces, OtlpSignal::kMetrics, OtlpSignal::kLogs};
[[nodiscard]] inline std::string_view to_string(OtlpSignal signal) {
  switch (signal) {
    case OtlpSignal::kTraces: return "traces";
    case OtlpSignal::kMetrics: return "metrics";
    case OtlpSignal::kLogs: return "logs";
  }
  return "";
}
[[nodiscard]] constexpr size_t index_of(OtlpSignal signal) { return static_cast<size_t>(signal); }
// One of T for each signal.
template <typename T>
using PerSignal = std::array<T, kOtlpSignals.size()>;

}  // namespace pintle::model
