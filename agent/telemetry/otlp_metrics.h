// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The figures of metrics_page.h as a request of the OpenTelemetry protocol. Names lose what OTLP says elsewhere: "_total" by the
// type, "_bytes" and "_seconds" by the unit; the rest is split by dots ("pintle_pod_network_bytes_total": "pintle.pod.network" in
// By), so that a collector which writes Prometheus' names again comes to ours. Labels with a name in OpenTelemetry's conventions
// get that one. Counters are cumulative sums, summaries without quantiles histograms of one bucket.
// Thread rule: one thread; finish() once.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "telemetry/metric_writer.h"
#include "telemetry/otlp_encode.h"

namespace pintle::telemetry {

// "pintle_pods" -> {"pintle.pods", "{pod}"}.
struct OtlpName {
  std::string name, unit;
  bool operator==(const OtlpName&) const = default;
};
[[nodiscard]] OtlpName otlp_name(std::string_view name);
// "pod" -> "k8s.pod.name".
[[nodiscard]] std::string_view otlp_attribute(std::string_view label);

class OtlpMetricWriter final : public MetricWriter {
 public:
  // `now`: of all figures.
  OtlpMetricWriter(const OtlpOrigin& origin, Time now);
  ~OtlpMetricWriter() override;

  void family(std::string_view name, MetricType type, std::string_view help) override;
  void since(Time start) override;
  void sample(std::initializer_list<Label> labels, double value) override;
  void sample(std::initializer_list<Label> labels, uint64_t value) override;
  void summary(std::initializer_list<Label> labels, double sum, uint64_t count) override;

  [[nodiscard]] uint64_t points() const;
  [[nodiscard]] std::string finish();  // families without a sample are left out

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace pintle::telemetry
