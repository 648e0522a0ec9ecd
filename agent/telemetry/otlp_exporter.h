// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The workers, one for each collector, and what feeds them: spans of the core (ports::TraceSink), lines of the agent's log, events of the
// programs. None of them ever waits for a collector. Traces are sampled by their id, or as the caller's context has it.
// Thread rule: start() and stop() from one thread; the TraceSink's calls from any, before start() (they wait in the queue) and after
// stop() (they go nowhere), which sends what is queued for at most `flush`. Lifetime: clock, agent and callbacks outlive stop().
#pragma once

#include <atomic>
#include <memory>
#include <vector>

#include "ports/agent_view.h"
#include "ports/telemetry.h"
#include "telemetry/log_sink.h"
#include "telemetry/otlp_worker.h"

namespace pintle::telemetry {

struct OtlpExporterOptions {
  OtlpPipelineOptions pipeline;              // on_change: on the thread of the signal's worker
  double sampling = 1;                       // share of traces that are told
  bool parent_based = true;                  // false: of those that a caller began too, whatever it decided
  bool traces = true;                        // false: none are recorded
  bool logs = true;                          // false: lines and events are not listened to
  Duration flush = std::chrono::seconds(3);  // what a stop may take
};

// To which of several collectors each signal goes.
struct OtlpDestinations {
  std::vector<std::unique_ptr<OtlpTransport>> transports;
  model::PerSignal<size_t> which{};  // an index of them
};

class OtlpExporter final : public ports::TraceSink {
 public:
  // REQUIRES: at least one transport.
  OtlpExporter(OtlpExporterOptions options, OtlpDestinations destinations, const Clock& clock);
  // All signals to one.
  OtlpExporter(OtlpExporterOptions options, std::unique_ptr<OtlpTransport> transport, const Clock& clock);
  ~OtlpExporter() override { stop(); }

  // The threads begin, and lines and events are exported from now on. REQUIRES: called once.
  void start(ports::AgentView& agent);
  void stop();  // idempotent
  [[nodiscard]] OtlpCounts counts();

  [[nodiscard]] TraceContext begin(const std::optional<TraceContext>& parent) override;
  void record(ports::Span span) override;

 private:
  [[nodiscard]] OtlpWorker& worker_of(OtlpSignal signal) { return *workers_[which_[index_of(signal)]]; }

  const OtlpExporterOptions options_;
  const Clock& clock_;
  const model::PerSignal<size_t> which_;
  std::vector<std::unique_ptr<OtlpWorker>> workers_;
  std::atomic<bool> open_ = true;
  std::unique_ptr<LogTap> tap_;
  std::unique_ptr<ports::Subscription> events_;
};

}  // namespace pintle::telemetry
