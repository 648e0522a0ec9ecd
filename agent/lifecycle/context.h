// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What one decision works on: the view, its working copy of the memory and the decision under construction.
// Internal to lifecycle; lives for one call of decide(). Not a place for rules.
#pragma once

#include <string>
#include <utility>

#include "lifecycle/decide.h"

namespace pintle::lifecycle {

struct Context {
  const PodView& view;
  const model::Pod& pod;
  const NodeFacts& node;
  const model::ObservedPod& observed;
  PodMemory& memory;
  Decision& out;
  Time now;

  // Look again at `at`; the earliest request wins.
  void wake(Time at) {
    if (at > now && (!out.wake_at || at < *out.wake_at)) out.wake_at = at;
  }
  // The first reason is the one that is told.
  void explain(std::string text) {
    if (out.explanation.empty()) out.explanation = std::move(text);
  }
  void plan(Action action, PlanKind kind) {
    out.plan.push_back(std::move(action));
    memory.plan = kind;
    memory.cancel_sent = false;
  }
  void tell(model::EventType type, std::string reason, std::string message, std::string container = {}) {
    memory.events.push_back({std::move(container), type, std::move(reason), std::move(message), now});
  }
  [[nodiscard]] bool deleted() const { return pod.metadata.deletion_timestamp.has_value() || view.removed; }
  // What was published last: by this process, or before it started.
  [[nodiscard]] const model::PodStatus& published() const { return memory.last_status ? *memory.last_status : pod.status; }
  // "web_default(uid)", as the kubelet's texts name a pod.
  [[nodiscard]] std::string pod_text() const { return pod.metadata.name + "_" + pod.metadata.namespace_ + "(" + pod.metadata.uid + ")"; }
};

// A pod-level step that has failed is not due again: says so, and when it is looked at next.
[[nodiscard]] bool step_waits(Context& ctx);

// Moves the pending events into the decision.
void drain_events(Context& ctx);

}  // namespace pintle::lifecycle
