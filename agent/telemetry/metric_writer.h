// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// How figures are told, in whichever form: families, each followed by its samples. Names are Prometheus' (base unit and _total
// at the end); a form that wants others derives them. The one source of all of them is metrics_page.h.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <string_view>
#include <utility>

#include "base/time.h"

namespace pintle::telemetry {

enum class MetricType { kCounter, kGauge, kSummary };
using Label = std::pair<std::string_view, std::string_view>;

class MetricWriter {
 public:
  virtual ~MetricWriter() = default;
  // Samples that follow belong to it.
  virtual void family(std::string_view name, MetricType type, std::string_view help) = 0;
  // What is counted by the samples that follow, up to the next call, is counted from this time on.
  virtual void since(Time /*start*/) {}
  virtual void sample(std::initializer_list<Label> labels, double value) = 0;
  virtual void sample(std::initializer_list<Label> labels, uint64_t value) = 0;
  // Of a summary without quantiles.
  virtual void summary(std::initializer_list<Label> labels, double sum, uint64_t count) = 0;
};

}  // namespace pintle::telemetry
