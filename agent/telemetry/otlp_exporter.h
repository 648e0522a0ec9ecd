// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The pipeline with its one thread, and what feeds it: spans of the core (ports::TraceSink), lines of the agent's log, events of the
// programs. None of them ever waits for the collector. Traces are sampled by their id, or as the caller's context has it.
// Thread rule: start() and stop() from one thread; the TraceSink's calls from any, before start() (they wait in the queue) and after
// stop() (they go nowhere), which sends what is queued for at most `flush`. Lifetime: clock, agent and callbacks outlive stop().
#pragma once

#include <atomic>
#include <memory>
#include <thread>

#include "ports/agent_view.h"
#include "ports/telemetry.h"
#include "telemetry/log_sink.h"
#include "telemetry/otlp_pipeline.h"

namespace pintle::telemetry {

struct OtlpExporterOptions {
  OtlpPipelineOptions pipeline;
  double sampling = 1;                       // share of traces that begin here
  bool traces = true;                        // false: none are recorded
  bool logs = true;                          // false: lines and events are not listened to
  Duration flush = std::chrono::seconds(3);  // what a stop may take
};

class OtlpExporter final : public ports::TraceSink {
 public:
  OtlpExporter(OtlpExporterOptions options, std::unique_ptr<OtlpTransport> transport, const Clock& clock);
  ~OtlpExporter() override { stop(); }

  // The thread begins, and lines and events are exported from now on. REQUIRES: called once.
  void start(ports::AgentView& agent);
  void stop();  // idempotent
  [[nodiscard]] OtlpCounts counts() { return pipeline_.counts(); }

  [[nodiscard]] TraceContext begin(const std::optional<TraceContext>& parent) override;
  void record(ports::Span span) override;

 private:
  void run(const std::stop_token& stop);
  void wake();

  const OtlpExporterOptions options_;
  const Clock& clock_;
  OtlpPipeline pipeline_;
  std::atomic<bool> open_ = true;
  Mutex mu_;
  ConditionVariable changed_;
  bool woken_ PINTLE_GUARDED_BY(mu_) = false, flushed_ PINTLE_GUARDED_BY(mu_) = false;
  std::stop_source abandon_;  // ends a send that is under way
  std::unique_ptr<LogTap> tap_;
  std::unique_ptr<ports::Subscription> events_;
  std::jthread worker_;  // blocks on changed_ and in the transport
};

}  // namespace pintle::telemetry
