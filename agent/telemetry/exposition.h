// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Writes Prometheus' text format, version 0.0.4: families of samples, escaped as the format wants it. What the format forbids (a bad
// name, a counter without _total, a family or series twice) is a broken invariant of ours, not of the input.
// Not a registry: the figures live where they are counted. Plain value.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "telemetry/metric_writer.h"

namespace pintle::telemetry {

class Exposition final : public MetricWriter {
 public:
  void family(std::string_view name, MetricType type, std::string_view help) override;
  void sample(std::initializer_list<Label> labels, double value) override { write({}, labels, value); }
  void sample(std::initializer_list<Label> labels, uint64_t value) override;
  void summary(std::initializer_list<Label> labels, double sum, uint64_t count) override;

  [[nodiscard]] size_t series() const { return series_.size(); }
  [[nodiscard]] const std::vector<std::string>& problems() const { return problems_; }  // empty: the text is valid
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  void write(std::string_view suffix, std::initializer_list<Label> labels, double value);
  void write_text(std::string_view suffix, std::initializer_list<Label> labels, std::string_view value);

  std::string text_, family_;
  MetricType type_ = MetricType::kGauge;
  std::set<std::string, std::less<>> families_, series_;
  std::vector<std::string> problems_;
};

}  // namespace pintle::telemetry
