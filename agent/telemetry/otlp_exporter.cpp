// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/otlp_exporter.h"

#include <algorithm>

namespace pintle::telemetry {
namespace {

OtlpDestinations only(std::unique_ptr<OtlpTransport> transport) {
  OtlpDestinations out;
  out.transports.push_back(std::move(transport));
  return out;
}

}  // namespace

OtlpExporter::OtlpExporter(OtlpExporterOptions options, OtlpDestinations destinations, const Clock& clock)
    : options_(std::move(options)), clock_(clock), which_(destinations.which) {
  for (auto& transport : destinations.transports) {
    auto of_worker = options_.pipeline;
    if (workers_.size() != which_[index_of(OtlpSignal::kMetrics)]) of_worker.figures = {};
    workers_.push_back(std::make_unique<OtlpWorker>(std::move(of_worker), std::move(transport), clock));
  }
}

OtlpExporter::OtlpExporter(OtlpExporterOptions options, std::unique_ptr<OtlpTransport> transport, const Clock& clock)
    : OtlpExporter(std::move(options), only(std::move(transport)), clock) {}

void OtlpExporter::start(ports::AgentView& agent) {
  for (const auto& worker : workers_) worker->start();
  if (!options_.logs) return;
  auto& logs = worker_of(OtlpSignal::kLogs);
  tap_ = std::make_unique<LogTap>([this, &logs](LogLevel level, std::string_view component, std::string_view message) {
    const Time now = clock_.now();
    LogRecord record{.time = now, .observed = now, .level = level, .body = std::string(message)};
    record.attributes.push_back({"pintle.component", std::string(component)});
    if (const auto* trace = current_trace()) record.trace = *trace;
    logs.add(std::move(record));
  });
  events_ = agent.watch_ebpf([this, &logs](const model::ProgramEvent& event) { logs.add(event, clock_.steady()); });
}

TraceContext OtlpExporter::begin(const std::optional<TraceContext>& parent) {
  if (parent && options_.parent_based) return child_of(*parent);
  auto context = parent ? child_of(*parent) : new_trace(false);
  context.sampled = options_.traces && within_ratio(context.trace, options_.sampling);
  return context;
}

void OtlpExporter::record(ports::Span span) {
  if (!options_.traces || !span.context.sampled || !open_.load()) return;
  worker_of(OtlpSignal::kTraces).add(std::move(span));
}

OtlpCounts OtlpExporter::counts() {
  OtlpCounts sum;
  for (const auto signal : kOtlpSignals) sum.of(signal) = worker_of(signal).counts().of(signal);
  sum.late = worker_of(OtlpSignal::kLogs).counts().late;
  return sum;
}

void OtlpExporter::stop() {
  open_ = false;
  events_.reset();
  tap_.reset();
  for (const auto& worker : workers_) worker->end();
  const SteadyTime until = clock_.steady() + options_.flush;
  for (const auto& worker : workers_) worker->finish(std::max<Duration>(until - clock_.steady(), Duration::zero()));
}

}  // namespace pintle::telemetry
