// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One row of the pod table: everything the loop knows of one pod. Plain data of PodLoop, nobody else's.
#pragma once

#include <deque>
#include <memory>
#include <optional>
#include <set>
#include <stop_token>
#include <string>
#include <vector>

#include "base/backoff.h"
#include "reconcile/outputs.h"
#include "reconcile/pod_trace.h"

namespace pintle::reconcile {

struct RunningPlan {
  uint64_t number = 0;
  bool reread = false;  // the loop's own read, not asked for by decide()
  std::vector<lifecycle::Action> actions;
  std::vector<bool> done;
  std::vector<ActionTrace> traces;  // empty: not told
  size_t left = 0;
  std::stop_source stop;
};

struct PodEntry {
  PodUid uid;
  PodPtr desired;
  std::string source;    // "api", "file"; empty: an orphan
  bool removed = false;  // gone from its source, or never had one
  PodPtr successor;      // the same UID came back while this one was ending (facts row 4.10)
  std::string successor_source;
  uint64_t arrival = 0;  // order among pods of one name
  bool waits_for_namesake = false;

  std::shared_ptr<const model::ObservedPod> observed;  // null: not read yet
  ReadMark floor = 0;                                  // reads with an older mark are ignored
  ReadMark last_mark = 0;                              // of the newest own action
  bool stale = false;                                  // an own action ended without a read-back: read before deciding
  Backoff reread_backoff{{std::chrono::milliseconds(50), std::chrono::seconds(3)}};
  Time reread_at{};

  lifecycle::PodMemory memory;
  std::optional<RunningPlan> plan;
  std::stop_source probes;
  std::optional<Time> wake_at;
  model::ResourceList requests;

  std::shared_ptr<const model::PodStatus> status = std::make_shared<const model::PodStatus>();  // as decided; never null
  bool decided = false, published = false, finished = false;
  std::string explanation;
  std::deque<ports::TimelineEntry> timeline;
  model::Phase confirmed_phase = model::Phase::kUnknown;
  bool changed = false;             // since the watcher was told
  std::unique_ptr<PodTrace> trace;  // null: traces are off

  [[nodiscard]] bool orphan() const { return source.empty(); }
};

// After these the runtime has to be read before anything is decided.
[[nodiscard]] bool touches_runtime(const lifecycle::Action& action);

}  // namespace pintle::reconcile
