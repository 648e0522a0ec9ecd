// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The figures of this node, for whoever writes them down (Prometheus' page, OTLP): each pod's traffic, calls, refusals and events, what
// Pintle itself costs, and whether its parts work. Labels are bounded: namespace, pod, direction, protocol, hook and the like, never a
// container, address or port. Pods beyond the limit of series are left out whole, in the order of their names, and counted. Asked anew for
// every scrape. Thread rule: render() from one thread at a time. Lifetime: the view outlives it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>

#include "ports/agent_view.h"
#include "ports/runtime_hooks.h"
#include "telemetry/exposition.h"
#include "telemetry/otlp_counts.h"

namespace pintle::telemetry {

struct EventLogCounts {
  uint64_t written = 0, lost = 0, late = 0;  // late: written after a younger one
};

struct MetricsOptions {
  size_t most_pod_series = 20'000;            // some 400 pods
  std::function<EventLogCounts()> event_log;  // absent: none is kept
  std::function<uint64_t()> streams_late;     // events that readers of the control service got after a younger one
  std::function<OtlpCounts()> otlp;           // absent: nothing is exported, and no series tell of it
  std::function<ports::HookCounts()> nri;     // absent: no runtime is asked to tell of pods
};

class MetricsPage {
 public:
  explicit MetricsPage(ports::AgentView& agent, MetricsOptions options = {}) : agent_(agent), options_(std::move(options)) {}
  [[nodiscard]] Exposition render();
  void write(MetricWriter& out);

 private:
  void render_agent(MetricWriter& out);
  void render_pods(MetricWriter& out);
  void render_declared(MetricWriter& out);
  void render_programs(MetricWriter& out);
  [[nodiscard]] Time settled(const std::string& program, Time loaded_at);
  void render_policy(MetricWriter& out);
  void render_telemetry(MetricWriter& out);
  void render_nri(MetricWriter& out);

  ports::AgentView& agent_;
  const MetricsOptions options_;
  Time started_at_{};                      // of the agent
  uint64_t left_out_ = 0;                  // series, over all scrapes
  std::map<std::string, Time> loaded_at_;  // of programs, as told last
};

}  // namespace pintle::telemetry
