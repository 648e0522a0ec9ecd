// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// An event of the programs as a log record: its name, a line for people, and attributes by OpenTelemetry's conventions. Pure.
#pragma once

#include "model/ebpf.h"
#include "ports/pod_names.h"
#include "telemetry/otlp_encode.h"

namespace pintle::telemetry {

// `late`: a younger one was told before it.
[[nodiscard]] LogRecord log_record_of(const model::ProgramEvent& event, const ports::PodNames::Name& pod, bool late, Time observed);

}  // namespace pintle::telemetry
