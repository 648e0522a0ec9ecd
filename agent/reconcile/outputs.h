// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What PodLoop asks of the world: one small interface for each kind of work. Implementations return at once and must never
// call back into the loop from inside a call; results come later as inputs. Thread rule: called on the loop's thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "lifecycle/decide.h"
#include "ports/agent_view.h"
#include "ports/pod_source.h"
#include "ports/telemetry.h"
#include "reconcile/read_clock.h"

namespace pintle::reconcile {

using ports::PodPtr;

// On every sandbox we make: whose it is. Without it a pod whose cgroup, pins and directory are gone already could not be told
// from one of another agent on the same runtime.
inline constexpr std::string_view kOwnerAnnotation = "pintle.dev/owner";

// What an action may need to know of its pod; immutable, so that it can be carried to another thread.
struct ActionContext {
  PodPtr pod;
  std::shared_ptr<const lifecycle::NodeFacts> node;
  std::shared_ptr<const model::ObservedPod> observed;  // may be null
  std::string cgroup_parent;                           // of the pod's cgroup, as the runtime gets it
  std::vector<std::string> pod_ips;
  std::optional<TraceContext> trace;  // what it does is told as this span; none: it is not told
};

// Names one action of one plan. Plans are numbered through the life of a loop, so a reply to a plan that is gone is known as such.
struct ActionTicket {
  uint64_t plan = 0;
  size_t index = 0;
  bool operator==(const ActionTicket&) const = default;
};

struct ActionReply {
  lifecycle::ActionOutcome outcome;
  // Taken after the action's effect and before its read-back began (or at its end, when there was no read-back).
  ReadMark mark = 0;
};

// The runtime's state of one pod, and what its ended containers left to say.
struct Observation {
  model::ObservedPod pod;
  std::map<std::string, std::string> termination_messages;  // by container id
  ReadMark mark = 0;                                        // taken before the read began
};

class ActionRunner {
 public:
  virtual ~ActionRunner() = default;
  // PodLoop::action_done(uid, ticket, …) follows exactly once, also when `stop` was triggered.
  virtual void start(const PodUid& uid, ActionTicket ticket, const lifecycle::Action& action, const ActionContext& context,
                     std::stop_token stop) = 0;
};

class ProbeRunner {
 public:
  virtual ~ProbeRunner() = default;
  // PodLoop::probe_done(uid, …) follows exactly once, unless `stop` was triggered.
  virtual void start(const PodUid& uid, const lifecycle::ProbeRun& run, const ActionContext& context, std::stop_token stop) = 0;
};

struct StatusUpdate {
  PodPtr pod;  // as its source has it
  std::string source;
  std::shared_ptr<const model::PodStatus> status;
  bool finished = false;  // nothing of the pod is left: the API may forget it
};

class StatusSink {
 public:
  virtual ~StatusSink() = default;
  // A newer update of a pod replaces one that was not sent yet.
  virtual void publish(StatusUpdate update) = 0;
  // The pod has left the table: nothing more will be said about it.
  virtual void forget(const PodUid& uid) = 0;
};

// Static pods and their mirrors in the API (facts section 26). That a static pod has left the table is told by StatusSink::forget.
class MirrorSink {
 public:
  virtual ~MirrorSink() = default;
  // A static pod has come into the table, or its source tells it anew.
  virtual void static_seen(const PodPtr& pod) = 0;
  // Mirrors as the API source tells them; they are never run. Any pod that is in no table may be named as gone.
  virtual void mirror_seen(const PodPtr& mirror) = 0;
  virtual void mirror_gone(const PodUid& uid) = 0;
  // Every static pod there is has been told: mirrors of others are left-overs.
  virtual void sources_ready() = 0;
};

// Told of every visible change.
class PodWatcher {
 public:
  virtual ~PodWatcher() = default;
  [[nodiscard]] virtual bool wants_changes() const = 0;
  virtual void pod_changed(const ports::PodRecord& record) = 0;
};

}  // namespace pintle::reconcile
