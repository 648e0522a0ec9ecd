// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The wiring of OTLP export by the configuration: who we say we are, how the collector is reached, what is exported.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "config/config.h"
#include "telemetry/metric_writer.h"
#include "telemetry/otlp_exporter.h"

namespace pintle::app {

struct OtlpInputs {
  const config::AgentConfig& config;
  const Clock& clock;
  std::string version;
  std::function<void(telemetry::MetricWriter&)> figures;
  std::function<ports::PodNames::Name(const std::string& uid)> pod_name;
  std::function<void(bool ok, const std::string& detail)> told;  // how export goes, when that changes; on a worker's thread, one at a time
};

// REQUIRES: config.pintle.otlp.enabled(). Spans may be recorded at once; its thread begins with start(). kUnavailable: no descriptors left.
[[nodiscard]] Result<std::unique_ptr<telemetry::OtlpExporter>> make_otlp(OtlpInputs inputs);

// What every request says of its sender: OTEL_RESOURCE_ATTRIBUTES and pintle.otlp.resourceAttributes go over our own.
[[nodiscard]] std::vector<ports::Attribute> otlp_resource(const config::AgentConfig& config, const std::string& version,
                                                          const std::string& host_name, const std::string& machine_id, int64_t pid);

}  // namespace pintle::app
