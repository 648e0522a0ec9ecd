// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/otlp_metrics.h"

#include <algorithm>
#include <array>
#include <limits>
#include <utility>

#include <google/protobuf/arena.h>

#include "otlp/metrics_service.pb.h"
#include "telemetry/otlp_values.h"

namespace pintle::telemetry {
namespace {

namespace metrics = opentelemetry::proto::collector::metrics::v1;

bool take_end(std::string_view& text, std::string_view end) {
  if (!text.ends_with(end)) return false;
  text.remove_suffix(end.size());
  return true;
}

// What is counted, as an annotation: it stands for no unit of its own.
std::string counted(std::string_view name) {
  auto word = name.substr(name.rfind('_') + 1);
  if (word.size() < 4 || !word.ends_with('s')) return {};
  word.remove_suffix(1);
  if (word == "entrie") word = "entry";
  if (word == "drop") word = "packet";
  return "{" + std::string(word) + "}";
}

template <typename Repeated>
void add_labels(std::initializer_list<Label> labels, Repeated& out) {
  for (const auto& [name, value] : labels) {
    auto& added = *out.Add();
    added.set_key(std::string(otlp_attribute(name)));
    added.mutable_value()->set_string_value(clean(value));
  }
}

}  // namespace

OtlpName otlp_name(std::string_view name) {
  OtlpName out;
  (void)take_end(name, "_total");
  if (take_end(name, "_bytes"))
    out.unit = "By";
  else if (take_end(name, "_seconds"))
    out.unit = "s";
  else
    out.unit = counted(name);
  out.name = name;
  std::ranges::replace(out.name, '_', '.');
  return out;
}

std::string_view otlp_attribute(std::string_view label) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 5> kNames{{{"namespace", "k8s.namespace.name"},
                                                                                        {"pod", "k8s.pod.name"},
                                                                                        {"node", "k8s.node.name"},
                                                                                        {"direction", "network.io.direction"},
                                                                                        {"protocol", "network.transport"}}};
  const auto found = std::ranges::find(kNames, label, &std::pair<std::string_view, std::string_view>::first);
  return found == kNames.end() ? label : found->second;
}

struct OtlpMetricWriter::Parts {
  google::protobuf::Arena arena;
  metrics::ExportMetricsServiceRequest* request = google::protobuf::Arena::CreateMessage<metrics::ExportMetricsServiceRequest>(&arena);
  wire::ScopeMetrics* scope = nullptr;
  std::string name, help;  // of the family that samples belong to
  MetricType type = MetricType::kGauge;
  wire::Metric* metric = nullptr;  // made by its first sample
  uint64_t now = 0, since = 0, points = 0;

  wire::Metric& open() {
    if (metric != nullptr) return *metric;
    metric = scope->add_metrics();
    auto named = otlp_name(name);
    metric->set_name(std::move(named.name));
    metric->set_unit(std::move(named.unit));
    metric->set_description(help);
    return *metric;
  }
  wire::NumberPoint& number(std::initializer_list<Label> labels) {
    wire::NumberPoint* point = nullptr;
    if (type == MetricType::kCounter) {
      auto& sum = *open().mutable_sum();
      sum.set_temporality(wire::TEMPORALITY_CUMULATIVE);
      sum.set_monotonic(true);
      point = sum.add_points();
      point->set_start_time_unix_nano(since);
    } else {
      point = open().mutable_gauge()->add_points();
    }
    point->set_time_unix_nano(now);
    add_labels(labels, *point->mutable_attributes());
    ++points;
    return *point;
  }
};

OtlpMetricWriter::OtlpMetricWriter(const OtlpOrigin& origin, Time now) : parts_(std::make_unique<Parts>()) {
  auto& group = *parts_->request->add_resource_metrics();
  parts_->scope = group.add_scope_metrics();
  set_origin(origin, *group.mutable_resource(), *parts_->scope->mutable_scope());
  parts_->now = parts_->since = nanos(now);
}
OtlpMetricWriter::~OtlpMetricWriter() = default;

void OtlpMetricWriter::family(std::string_view name, MetricType type, std::string_view help) {
  parts_->name = name;
  parts_->help = help;
  parts_->type = type;
  parts_->metric = nullptr;
}

// What began after now (a clock that was stepped back) began now.
void OtlpMetricWriter::since(Time start) { parts_->since = std::min(nanos(start), parts_->now); }

void OtlpMetricWriter::sample(std::initializer_list<Label> labels, double value) { parts_->number(labels).set_as_double(value); }

void OtlpMetricWriter::sample(std::initializer_list<Label> labels, uint64_t value) {
  parts_->number(labels).set_as_int(static_cast<int64_t>(std::min<uint64_t>(value, std::numeric_limits<int64_t>::max())));
}

void OtlpMetricWriter::summary(std::initializer_list<Label> labels, double sum, uint64_t count) {
  auto& histogram = *parts_->open().mutable_histogram();
  histogram.set_temporality(wire::TEMPORALITY_CUMULATIVE);
  auto& point = *histogram.add_points();
  point.set_start_time_unix_nano(parts_->since);
  point.set_time_unix_nano(parts_->now);
  point.set_count(count);
  point.set_sum(sum);
  point.add_bucket_counts(count);  // no bounds: all of it is one bucket
  add_labels(labels, *point.mutable_attributes());
  ++parts_->points;
}

uint64_t OtlpMetricWriter::points() const { return parts_->points; }
std::string OtlpMetricWriter::finish() { return parts_->request->SerializeAsString(); }

}  // namespace pintle::telemetry
