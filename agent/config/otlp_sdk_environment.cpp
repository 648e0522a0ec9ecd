// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "config/otlp_sdk_environment.h"

#include <algorithm>
#include <array>

namespace pintle::config {
namespace {

using model::OtlpSignal;

constexpr Duration kLeastInterval = std::chrono::milliseconds(100);

struct Sampler {
  std::string_view name;
  bool parent_based;
  std::optional<double> share;  // none: by the argument
};
constexpr std::array<Sampler, 6> kSamplers = {{{"always_on", false, 1},
                                               {"always_off", false, 0},
                                               {"traceidratio", false, std::nullopt},
                                               {"parentbased_always_on", true, 1},
                                               {"parentbased_always_off", true, 0},
                                               {"parentbased_traceidratio", true, std::nullopt}}};
constexpr std::string_view kSamplerName = "OTEL_TRACES_SAMPLER", kArgumentName = "OTEL_TRACES_SAMPLER_ARG";

std::string sampler_names() {
  std::vector<std::string_view> names;
  names.reserve(kSamplers.size());
  for (const auto& one : kSamplers) names.push_back(one.name);
  return fmt::format("{}", fmt::join(names, ", "));
}

// A sampler is one thing: where the file says a part of it, all of it is the file's.
void take_sampler(OtlpOptions& options, const OtlpOptions& file, const OtlpVariables& variables) {
  if (file.sampling || file.parent_based) return;
  const auto given = variables.text(std::string(kSamplerName)), argument = variables.text(std::string(kArgumentName));
  const auto known = std::ranges::find(kSamplers, to_lower(given), &Sampler::name);
  if (known == kSamplers.end()) {
    if (!given.empty()) variables.ignore(kSamplerName, fmt::format("'{}' is no sampler here, only {}", given, sampler_names()));
    if (given.empty() && !argument.empty()) variables.ignore(kArgumentName, "OTEL_TRACES_SAMPLER is not set");
    return;
  }
  options.parent_based = known->parent_based;
  options.sampling = known->share ? known->share : variables.share(std::string(kArgumentName)).value_or(1.0);
  if (known->share && !argument.empty()) variables.ignore(kArgumentName, fmt::format("{} takes no argument", known->name));
}

// Of spans or log records.
void take_processor(OtlpOptions& options, const OtlpOptions& file, OtlpSignal signal, const OtlpVariables& variables) {
  const std::string prefix = signal == OtlpSignal::kTraces ? "OTEL_BSP_" : "OTEL_BLRP_";
  auto& own = options.own_of(signal);
  const auto& said = file.own_of(signal);
  const auto take = [](auto& into, const auto& value, const auto& of_all) {
    if (!into && !of_all) into = value;
  };
  take(own.batch_delay, variables.span(prefix + "SCHEDULE_DELAY", Duration::zero()), file.batch_delay);
  take(own.give_up_after, variables.timeout(prefix + "EXPORT_TIMEOUT"), file.give_up_after);
  take(own.batch_queue, variables.count(prefix + "MAX_QUEUE_SIZE"), file.batch_queue);
  take(own.batch_size, variables.count(prefix + "MAX_EXPORT_BATCH_SIZE"), file.batch_size);
  const auto undo = [&](std::string_view name, auto& value, const auto& before) {
    if (const auto checked = batching_of(options, signal); !checked && value != before) {
      variables.ignore(prefix + std::string(name), checked.error().message());
      value = before;
    }
  };
  undo("MAX_EXPORT_BATCH_SIZE", own.batch_size, said.batch_size);
  undo("MAX_QUEUE_SIZE", own.batch_queue, said.batch_queue);
}

void take_reader(OtlpOptions& options, const OtlpOptions& file, const OtlpVariables& variables) {
  auto& own = options.own_of(OtlpSignal::kMetrics).give_up_after;
  const auto interval = variables.span("OTEL_METRIC_EXPORT_INTERVAL", kLeastInterval);
  const auto timeout = variables.timeout("OTEL_METRIC_EXPORT_TIMEOUT");
  if (!options.interval) options.interval = interval;
  if (!own && !file.give_up_after) own = timeout;
}

// W3C trace context is what the API, the runtime and annotations carry here; there is no way to have another, or none.
void check_propagators(const OtlpVariables& variables) {
  for (const auto& name : variables.list("OTEL_PROPAGATORS"))
    if (name != "tracecontext") variables.ignore("OTEL_PROPAGATORS", fmt::format("'{}' is no propagator here, only tracecontext", name));
}

}  // namespace

void take_sdk_environment(OtlpOptions& options, const OtlpOptions& file, const OtlpVariables& variables) {
  take_sampler(options, file, variables);
  take_processor(options, file, OtlpSignal::kTraces, variables);
  take_processor(options, file, OtlpSignal::kLogs, variables);
  take_reader(options, file, variables);
  check_propagators(variables);
}

}  // namespace pintle::config
