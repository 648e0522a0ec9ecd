// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A request of otlp_encode.h and otlp_metrics.h as OTLP's JSON: protobuf's mapping (lowerCamelCase, 64-bit numbers as text, defaults left
// out) but for ids in hex and enums as numbers. Written as a stream: a tree of a node's figures would be ten times their size.
// Pure functions, any thread.
#pragma once

#include <string>
#include <string_view>

#include "telemetry/otlp_counts.h"
#include "telemetry/otlp_encode.h"

namespace pintle::telemetry {

// REQUIRES: `request` is such a request of this signal.
[[nodiscard]] std::string to_otlp_json(OtlpSignal signal, std::string_view request);

// As decode_answer() and decode_refusal() for a collector that speaks JSON.
[[nodiscard]] std::optional<OtlpAnswer> decode_json_answer(std::string_view text);
[[nodiscard]] OtlpRefusal decode_json_refusal(std::string_view text);

}  // namespace pintle::telemetry
