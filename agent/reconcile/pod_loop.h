// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The pod table and its one writer, as a passive machine: inputs come as calls, outputs go to the interfaces of outputs.h.
// It has no thread, no clock and no chance of its own, so a simulation can drive it; LoopThread gives it a thread.
// Rules: one plan per pod at a time, its actions run concurrently, the next decision follows when all have ended; pods are
// independent of one another; the newest desired state replaces an older one; a read that began before the pod's last own
// effect is ignored; what the runtime, the pins, the cgroups or the disk hold of pods that no source names is released once
// all sources are ready (facts rows 2.5, 3.10, 4.12). The rules of a pod's life are not here: see lifecycle/decide.h.
// Thread rule: one thread.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "ports/agent_view.h"
#include "ports/pod_api.h"
#include "reconcile/outputs.h"
#include "reconcile/pod_entry.h"

namespace pintle::reconcile {

struct PodLoopOutputs {
  ActionRunner& actions;
  ProbeRunner& probes;
  StatusSink& statuses;
  ports::EventSink& events;
  PodWatcher* watcher = nullptr;
  // The mark that ExecutorOptions::owner puts on sandboxes: those that bear it and belong to no pod are released. Empty: only pods
  // that left something in our own trees are, and those that were released before and come back.
  std::string owner;
  MirrorSink* mirrors = nullptr;       // null: static pods are known on this node only
  ports::TraceSink* traces = nullptr;  // null: what is done is not traced, and costs nothing
};

// Where a pod's programs stand, for one who waits for them.
struct ProgramStanding {
  enum class State {
    kOff,
    kPending,  // something is under way, or waits for the pod's cgroup
    kInForce,
    kRefused,  // tried, and not every hook is in force
    kNoPlan    // what they are to be is not known: the pod waits whatever its policy says
  };
  State state = State::kPending;
  model::EbpfPolicy policy = model::EbpfPolicy::kBestEffort;
  bool named = false;  // by its source; not only a cgroup that was found
  std::string why;     // when not in force
};

class PodLoop {
 public:
  // REQUIRES: `outputs` outlive this.
  explicit PodLoop(PodLoopOutputs outputs) : out_(std::move(outputs)) {}
  // Triggers the stop tokens of everything under way; replies are not waited for.
  ~PodLoop();
  PodLoop(const PodLoop&) = delete;
  PodLoop& operator=(const PodLoop&) = delete;

  // --- inputs: what is desired ---
  void set_pod(const PodPtr& pod, const std::string& source, Time now);
  // `traceparent`: of whoever deleted it, if that is known; else the pod's annotations tell.
  void remove_pod(const PodUid& uid, Time now, const std::string& traceparent = {});
  void set_sources_ready(Time now);
  void set_node(std::shared_ptr<const lifecycle::NodeFacts> node, Time now);
  void hint_volumes(const PodUid& uid, Time now);   // something a volume shows has changed
  void hint_programs(const PodUid& uid, Time now);  // a link was found dead

  // --- inputs: what is seen ---
  void observe(Observation observation, Time now);
  // Everything the runtime holds, and pods of which anything else is left on this node (pins, cgroups, directories).
  void observe_all(const std::vector<model::ObservedPod>& pods, const std::vector<PodUid>& leftovers, ReadMark mark, Time now);

  // --- inputs: what became of outputs ---
  void action_done(const PodUid& uid, ActionTicket ticket, ActionReply reply, Time now);
  void probe_done(const PodUid& uid, const lifecycle::ProbeDone& done, Time now);
  void status_confirmed(const PodUid& uid, const model::PodStatus& as_in_api, Time now);
  // Decides for every pod that asked to be looked at by `now`.
  void wake(Time now);

  [[nodiscard]] std::optional<Time> next_wake() const;
  [[nodiscard]] std::vector<ports::PodRecord> snapshot() const;
  // What each pod's programs were last told to be: of a snapshot what the audit needs every few seconds, at a sixth of its size.
  [[nodiscard]] std::vector<model::AttachReport> program_reports() const;
  [[nodiscard]] std::optional<ports::PodRecord> find(const PodUid& uid) const;
  [[nodiscard]] std::optional<ProgramStanding> program_standing(const PodUid& uid) const;
  [[nodiscard]] bool runtime_read() const { return listed_; }
  [[nodiscard]] size_t running_plans() const;
  [[nodiscard]] size_t size() const { return entries_.size(); }

 private:
  using Entries = std::map<PodUid, PodEntry>;

  PodEntry& add(const PodPtr& pod, const std::string& source, Time now);
  void tell_mirrors(const PodEntry& entry);
  void add_orphan(const PodUid& uid, const model::ObservedPod& seen, ReadMark mark, Time now);
  [[nodiscard]] bool is_ours(const model::ObservedPod& seen) const;
  void adopt_orphans(Time now);
  void drop(const PodUid& uid, Time now);
  void settle(PodEntry& entry, Time now);
  [[nodiscard]] bool held(PodEntry& entry);
  [[nodiscard]] bool waits_for_namesake(const PodEntry& entry) const;
  void settle_namesakes(const std::string& full_name, Time now);
  void decide(PodEntry& entry, Time now);
  void apply(PodEntry& entry, lifecycle::Decision decision, Time now);
  void publish(PodEntry& entry);
  void start_plan(PodEntry& entry, std::vector<lifecycle::Action> actions, bool reread);
  void take_observation(PodEntry& entry, std::shared_ptr<const model::ObservedPod> observed, ReadMark mark);
  void record_read(PodEntry& entry, const lifecycle::ActionOutcome& outcome, Time now);
  void set_wake(PodEntry& entry, std::optional<Time> at);
  void tell_watcher(PodEntry& entry);
  void trace_decision(PodEntry& entry, Time now);
  [[nodiscard]] ActionContext context_of(const PodEntry& entry) const;
  void sum_others(const PodEntry& entry, model::ResourceList& requests, int& pods) const;
  [[nodiscard]] std::vector<PodUid> in_admission_order() const;

  const PodLoopOutputs out_;
  std::shared_ptr<const lifecycle::NodeFacts> node_;
  Entries entries_;
  std::map<std::string, std::set<PodUid>> by_name_;
  std::set<std::pair<Time, PodUid>> wakes_;
  uint64_t plans_ = 0, arrivals_ = 0;
  bool sources_ready_ = false;
  bool listed_ = false;  // the runtime has been read as a whole once
  ReadMark list_mark_ = 0;
  std::map<PodUid, model::ObservedPod> unknown_;  // of the last full list: pods that are not in the table
  std::map<PodUid, ReadMark> gone_;               // dropped at this mark: older lists may still name them
  std::deque<PodUid> released_;                   // the last of them that had nothing left
};

// One record for people, as list and watch give it.
[[nodiscard]] ports::PodRecord make_record(const PodEntry& entry, const lifecycle::NodeFacts* node);

}  // namespace pintle::reconcile
