// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/otlp_exporter.h"

#include <algorithm>

#include <pthread.h>

namespace pintle::telemetry {

OtlpExporter::OtlpExporter(OtlpExporterOptions options, std::unique_ptr<OtlpTransport> transport, const Clock& clock)
    : options_(std::move(options)), clock_(clock), pipeline_(options_.pipeline, std::move(transport), clock) {}

void OtlpExporter::start(ports::AgentView& agent) {
  worker_ = std::jthread([this](const std::stop_token& stop) { run(stop); });
  if (!options_.logs) return;
  tap_ = std::make_unique<LogTap>([this](LogLevel level, std::string_view component, std::string_view message) {
    const Time now = clock_.now();
    LogRecord record{.time = now, .observed = now, .level = level, .body = std::string(message)};
    record.attributes.push_back({"pintle.component", std::string(component)});
    if (const auto* trace = current_trace()) record.trace = *trace;
    if (pipeline_.add(std::move(record))) wake();
  });
  events_ = agent.watch_ebpf([this](const model::ProgramEvent& event) {
    if (pipeline_.add(event, clock_.steady())) wake();
  });
}

TraceContext OtlpExporter::begin(const std::optional<TraceContext>& parent) {
  if (parent) return child_of(*parent);
  auto context = new_trace(false);
  context.sampled = options_.traces && within_ratio(context.trace, options_.sampling);
  return context;
}

void OtlpExporter::record(ports::Span span) {
  if (!options_.traces || !span.context.sampled || !open_.load()) return;
  if (pipeline_.add(std::move(span))) wake();
}

void OtlpExporter::wake() {
  {
    const MutexLock lock(mu_);
    woken_ = true;
  }
  changed_.notify_all();
}

void OtlpExporter::run(const std::stop_token& stop) {
  (void)::pthread_setname_np(::pthread_self(), "otlp");
  while (!stop.stop_requested()) {
    const auto next = pipeline_.step(abandon_.get_token());
    const MutexLock lock(mu_);
    const auto woken = [this]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return woken_; };
    if (next)
      (void)changed_.wait_for(mu_, stop, std::max<Duration>(*next - clock_.steady(), Duration::zero()), woken);
    else
      (void)changed_.wait(mu_, stop, woken);
    woken_ = false;
  }
  pipeline_.flush(abandon_.get_token());
  const MutexLock lock(mu_);
  flushed_ = true;
  changed_.notify_all();
}

void OtlpExporter::stop() {
  open_ = false;
  if (!worker_.joinable()) return;
  events_.reset();
  tap_.reset();
  worker_.request_stop();
  {
    const MutexLock lock(mu_);
    const auto flushed = [this]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return flushed_; };
    (void)changed_.wait_for(mu_, options_.flush, flushed);
  }
  abandon_.request_stop();
  worker_.join();
}

}  // namespace pintle::telemetry
