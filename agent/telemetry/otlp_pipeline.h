// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What waits to be exported, and the rules by which it is sent, as a passive machine: queues that never grow beyond their bounds (what
// finds no room is counted, the oldest stays), batches, retries with back-off and the collector's own wish, an end to them, and
// events put in the kernel's order. It has no thread: step() sends what is due and says when to come again (otlp_worker.h calls it).
// Thread rule: add() and counts() from any thread, and they never wait for a send; step() and flush() from one.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <random>
#include <stop_token>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "base/mutex.h"
#include "base/reorder_buffer.h"
#include "model/ebpf.h"
#include "ports/pod_names.h"
#include "telemetry/metric_writer.h"
#include "telemetry/otlp_counts.h"
#include "telemetry/otlp_encode.h"
#include "telemetry/otlp_transport.h"

namespace pintle::telemetry {

// By which spans and log records of one signal wait and are sent; of metrics give_up_after alone.
struct OtlpLimits {
  Duration patience = std::chrono::seconds(1);       // how long they wait for company
  size_t most = 2048, batch = 512;                   // that wait (events of programs as many again); of one request
  Duration give_up_after = std::chrono::minutes(5);  // a batch that was refused for so long is dropped; zero: never
};

struct OtlpPipelineOptions {
  OtlpOrigin origin;
  // Called for each request of metrics; absent: none are sent.
  std::function<void(MetricWriter&)> figures;
  std::function<ports::PodNames::Name(const std::string& uid)> pod_name;  // of events; absent: they bear the uid alone
  Duration interval = std::chrono::seconds(60);                           // between metrics
  model::PerSignal<OtlpLimits> limits = {OtlpLimits{}, OtlpLimits{}, OtlpLimits{.most = 4096}};
  BackoffPolicy backoff{std::chrono::seconds(1), std::chrono::seconds(30)};
  Duration reorder_hold = std::chrono::milliseconds(20);
  // Told of each change: a signal that fails, and one that works again (empty text). On the worker's thread.
  std::function<void(OtlpSignal, const std::string& problem)> on_change = {};
  uint32_t seed = 1;  // of the chance by which several agents' retries part

  [[nodiscard]] OtlpLimits& of(OtlpSignal signal) { return limits[index_of(signal)]; }
  [[nodiscard]] const OtlpLimits& of(OtlpSignal signal) const { return limits[index_of(signal)]; }
};

class OtlpPipeline {
 public:
  static constexpr size_t kLongestText = 8192;  // of a log record's line or a span's error; more is cut

  // REQUIRES: `clock` outlives this.
  OtlpPipeline(OtlpPipelineOptions options, std::unique_ptr<OtlpTransport> transport, const Clock& clock);

  // True: there is so much that a worker should be woken before its time.
  bool add(ports::Span span);
  bool add(LogRecord record);
  bool add(const model::ProgramEvent& event, SteadyTime arrival);
  [[nodiscard]] OtlpCounts counts();

  // Sends what is due, at most one batch of each signal. When it wants to be called again; nullopt: not before something is added.
  [[nodiscard]] std::optional<SteadyTime> step(const std::stop_token& stop);
  // The end: all that is queued, and metrics once more, each tried once. What can't be sent is dropped and counted.
  void flush(const std::stop_token& stop);

 private:
  // A batch that was encoded and is to be sent, again or for the first time.
  struct Pending {
    std::string request;
    uint64_t items = 0;
    SteadyTime made;
  };
  struct Lane {
    std::optional<Pending> pending;
    std::optional<SteadyTime> due;  // of a batch that is not full
    SteadyTime not_before{};        // after a failure
    Backoff backoff;
    bool failing = false, told_partial = false;
  };

  void order_events(SteadyTime now);
  void prepare_figures();
  void prepare_batch(OtlpSignal signal);
  [[nodiscard]] size_t waiting(OtlpSignal signal);
  [[nodiscard]] std::optional<SteadyTime> next_of(OtlpSignal signal, SteadyTime now);
  void send(OtlpSignal signal, const std::stop_token& stop);
  void delivered(OtlpSignal signal, const SendOutcome& outcome);
  void failed(OtlpSignal signal, const SendOutcome& outcome);
  void drop_pending(OtlpSignal signal);
  [[nodiscard]] Lane& lane(OtlpSignal signal) { return lanes_[static_cast<size_t>(signal)]; }
  [[nodiscard]] LogRecord record_of(const model::ProgramEvent& event, bool late) const;

  const OtlpPipelineOptions options_;
  const std::unique_ptr<OtlpTransport> transport_;
  const Clock& clock_;
  // worker's
  std::array<Lane, kOtlpSignals.size()> lanes_;
  std::minstd_rand chance_;
  ReorderBuffer<model::ProgramEvent> order_;
  std::optional<SteadyTime> next_figures_;
  // everybody's
  Mutex mu_;
  std::deque<ports::Span> spans_ PINTLE_GUARDED_BY(mu_);
  std::deque<LogRecord> records_ PINTLE_GUARDED_BY(mu_);
  std::deque<std::pair<model::ProgramEvent, SteadyTime>> events_ PINTLE_GUARDED_BY(mu_);
  OtlpCounts counts_ PINTLE_GUARDED_BY(mu_);
};

}  // namespace pintle::telemetry
