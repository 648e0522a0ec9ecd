// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A pod's way as spans, from what the loop learns anyway (the same outcomes and times that the timeline tells in words): the trace
// of its start, from being seen to being ready, with a span for each action; that of its stop; and each later action (a restart, a new
// attach) by itself, linked to the start. The start continues the trace that the pod's annotation names (kTraceparentAnnotation),
// the stop that of the deletion (kStopTraceparentAnnotation).
// Exists only while traces are exported. Thread rule: the loop's thread. Lifetime: the sink outlives it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lifecycle/action.h"
#include "lifecycle/memory.h"
#include "model/pod.h"
#include "ports/telemetry.h"

namespace pintle::reconcile {

// Of one action of a plan, made when it starts: the calls it makes carry it.
struct ActionTrace {
  TraceContext context;
  SpanId parent{};
  bool linked = false;  // no parent: a trace of its own, linked to the pod's start
};

class PodTrace {
 public:
  PodTrace(ports::TraceSink& sink, const model::Pod& pod, Time seen) : sink_(sink), seen_(seen), annotation_(annotation_of(pod)) {}

  [[nodiscard]] ActionTrace begin_action();
  void action_done(const model::Pod& pod, const std::string& node, const lifecycle::Action& action, const lifecycle::ActionOutcome& outcome,
                   const ActionTrace& trace, Time now);

  // After a decision. `existed`: something of the pod was there before the first one.
  struct Decided {
    const lifecycle::PodMemory& memory;
    const model::PodStatus& status;
    bool existed = false;
    bool finished = false;
  };
  void decided(const model::Pod& pod, const std::string& node, const Decided& decided, Time now);
  // Its source has it no more; before the decision that this leads to. Text that is none says nothing.
  void deleted_by(const std::string& traceparent) { deletion_ = traceparent; }
  // The pod leaves the table.
  void dropped(const model::Pod& pod, const std::string& node, Time now);

 private:
  // kReleasing: it had ended before this run of the agent, which releases it once more to be sure. That is no news.
  enum class Phase { kNew, kStarting, kStarted, kStopping, kReleasing, kEnded };
  struct Root {
    TraceContext context;
    SpanId parent{};
    Time begun;
  };
  [[nodiscard]] static std::string annotation_of(const model::Pod& pod, std::string_view name = kTraceparentAnnotation);
  [[nodiscard]] Root begin_root(const std::string& traceparent, Time now);
  void end_start(const model::Pod& pod, const std::string& node, std::optional<std::string> error, Time now);
  void begin_stop(const model::Pod& pod, const std::string& node, Time now);
  void end_stop(const model::Pod& pod, const std::string& node, Time now);

  ports::TraceSink& sink_;
  const Time seen_;
  const std::string annotation_;  // that the start has followed
  std::string deletion_;          // the context of the deletion, where no annotation can tell any more
  Phase phase_ = Phase::kNew;
  std::optional<Root> start_, stop_;
  std::optional<Time> last_step_;  // when the newest action of the start ended
};

// The span of an action that has ended; an empty name: not worth one (reads). Pure.
[[nodiscard]] ports::Span span_of(const lifecycle::Action& action, const lifecycle::ActionOutcome& outcome, Time now);
// Who it is about, on every span.
[[nodiscard]] std::vector<ports::Attribute> pod_attributes(const model::Pod& pod, const std::string& node);

}  // namespace pintle::reconcile
