// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Carries out the plans of pods that a kubelet owns (lifecycle/companion.h): finds a pod's cgroup, puts programs in force, detaches
// them. It has no runtime, no volumes and no API to write to: whatever else a plan asks for is refused with kUnsupported. Nothing it
// does waits for a network, so a few threads are enough.
// Thread rule: start() on the loop's thread; results come from the pool's.
#pragma once

#include <functional>
#include <map>

#include "base/mutex.h"
#include "base/time.h"
#include "ports/pod_cgroup_finder.h"
#include "ports/program_attacher.h"
#include "ports/program_planner.h"
#include "reconcile/outputs.h"
#include "reconcile/worker_pool.h"

namespace pintle::reconcile {

class CompanionRunner final : public ActionRunner {
 public:
  using Done = std::function<void(PodUid, ActionTicket, ActionReply)>;
  struct Ports {
    ports::PodCgroupFinder& cgroups;
    ports::ProgramAttacher& programs;
    ports::ProgramPlanner& planner;
  };
  // REQUIRES: all outlive this.
  CompanionRunner(Ports ports, const Clock& clock, WorkerPool& pool, Done done)
      : ports_(ports), clock_(clock), pool_(pool), done_(std::move(done)) {}
  void start(const PodUid& uid, ActionTicket ticket, const lifecycle::Action& action, const ActionContext& context,
             std::stop_token stop) override;
  // What start() has done on a thread of the pool.
  [[nodiscard]] lifecycle::ActionOutcome execute(const PodUid& uid, const lifecycle::Action& action, const model::Pod& pod);

 private:
  class Step;
  const Ports ports_;
  const Clock& clock_;
  WorkerPool& pool_;
  const Done done_;
  Mutex mu_;
  std::map<PodUid, ports::PodCgroup> cgroups_ PINTLE_GUARDED_BY(mu_);  // as last found: an open directory is of that very cgroup
};

}  // namespace pintle::reconcile
