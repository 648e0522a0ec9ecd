// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What became of what was to be exported, by signal. Plain values.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace pintle::telemetry {

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

// In spans, data points and log records, but for `failures`, which are requests.
struct OtlpSignalCounts {
  uint64_t exported = 0, dropped = 0, rejected = 0, failures = 0, queued = 0;
  bool operator==(const OtlpSignalCounts&) const = default;
};
struct OtlpCounts {
  std::array<OtlpSignalCounts, kOtlpSignals.size()> signals;
  uint64_t late = 0;  // events of programs told after a younger one
  [[nodiscard]] OtlpSignalCounts& of(OtlpSignal signal) { return signals[static_cast<size_t>(signal)]; }
  [[nodiscard]] const OtlpSignalCounts& of(OtlpSignal signal) const { return signals[static_cast<size_t>(signal)]; }
};

}  // namespace pintle::telemetry
