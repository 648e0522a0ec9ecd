// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What became of what was to be exported, by signal. Plain values.
#pragma once

#include <cstdint>

#include "model/otlp_signal.h"

namespace pintle::telemetry {

using model::kOtlpSignals;
using model::OtlpSignal;

// In spans, data points and log records, but for `failures`, which are requests.
struct OtlpSignalCounts {
  uint64_t exported = 0, dropped = 0, rejected = 0, failures = 0, queued = 0;
  bool operator==(const OtlpSignalCounts&) const = default;
};
struct OtlpCounts {
  model::PerSignal<OtlpSignalCounts> signals;
  uint64_t late = 0;  // events of programs told after a younger one
  [[nodiscard]] OtlpSignalCounts& of(OtlpSignal signal) { return signals[index_of(signal)]; }
  [[nodiscard]] const OtlpSignalCounts& of(OtlpSignal signal) const { return signals[index_of(signal)]; }
};

}  // namespace pintle::telemetry
