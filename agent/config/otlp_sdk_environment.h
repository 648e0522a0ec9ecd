// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The environment variables that say how an OpenTelemetry SDK's parts work, by its specification: OTEL_TRACES_SAMPLER and its
// _ARG, OTEL_BSP_… of spans, OTEL_BLRP_… of log records, OTEL_METRIC_EXPORT_…, OTEL_PROPAGATORS. No part of the module's interface.
#pragma once

#include "config/otlp_variables.h"

namespace pintle::config {

// `file`: the options before any variable; what they say stays. Defaults are ours where a variable says nothing, or nothing usable.
void take_sdk_environment(OtlpOptions& options, const OtlpOptions& file, const OtlpVariables& variables);

}  // namespace pintle::config
