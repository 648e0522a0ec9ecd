// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What is different beside a kubelet (mode companion): cgroups are found, not made; plans only find, attach and detach; no status is
// written. A pod whose cgroup is there before the API has told of it (a static pod, a slow watch) gets the node's default programs at
// once, as a pod without a name, and its own plan when it is known. The loop, policies, audit and view are those of the other modes.
// Thread rule: as app/agent.h; note() as sources::Merge calls its consumer.
#pragma once

#include <functional>
#include <memory>
#include <set>

#include "base/mutex.h"
#include "cgroup/pod_cgroup_watch.h"
#include "config/config.h"
#include "policy/policy_engine.h"
#include "reconcile/companion_runner.h"
#include "reconcile/loop_thread.h"
#include "sources/merge.h"

namespace pintle::app {

class Companion {
 public:
  struct Parts {
    const Clock& clock;
    reconcile::LoopThread& loop;
    policy::PolicyEngine& policies;
    ports::ProgramPlanner& planner;  // the policies' plans, with what others add
    ports::ProgramAttacher& attacher;
    reconcile::WorkerPool& workers;
    std::function<void(const std::string& kubepods)> parent_found;       // before any pod below it
    std::function<void(const std::string& directory)> class_found = {};  // of a QoS class, as well
  };
  // kUnsupported, kNotFound: the node's cgroup tree is not to be seen from here. REQUIRES: the parts outlive this.
  [[nodiscard]] static Result<std::unique_ptr<Companion>> create(const config::AgentConfig& config, Parts parts);
  ~Companion();

  // What the loop gets.
  [[nodiscard]] reconcile::PodLoopOutputs outputs(ports::EventSink& events);
  // Looks at the tree, and watches it from then on. REQUIRES: the loop runs.
  [[nodiscard]] Status start(const config::AgentConfig& config);
  void stop();
  // What the API tells, before it goes to the loop.
  void note(const sources::PodChanges& changes);
  // What the runtime tells of a pod before one of its containers starts: its names and labels stand until the API's come.
  void note(const ports::PodPtr& pod);
  // It has no cgroup here: what note() put into the table goes, if the API does not know it.
  void withdraw(const PodUid& uid);
  // Whether its cgroup is known; if not, it is looked for soon.
  [[nodiscard]] bool has_cgroup(const PodUid& uid);
  // Pods of an earlier run that nobody names any more and that have no process: their pins go. REQUIRES: the API's pods were told.
  void release_leftovers();

  [[nodiscard]] const std::string& tree() const { return tree_; }
  [[nodiscard]] cgroup::PodCgroupWatch& cgroups() { return *watch_; }

 private:
  class Planner;
  class Silence;
  Companion(std::string tree, std::string top, Parts parts);
  void appeared(const PodUid& uid);
  void vanished(const PodUid& uid);

  const std::string tree_;
  const Parts parts_;
  const std::unique_ptr<Planner> planner_;
  const std::unique_ptr<Silence> silence_;
  Mutex mu_;
  std::set<PodUid> told_by_api_ PINTLE_GUARDED_BY(mu_);
  std::set<PodUid> nameless_ PINTLE_GUARDED_BY(mu_);
  std::unique_ptr<cgroup::PodCgroupWatch> watch_;
  std::unique_ptr<reconcile::CompanionRunner> runner_;
};

}  // namespace pintle::app
