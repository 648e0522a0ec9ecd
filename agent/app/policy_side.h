// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Network policy on this node: the engine, the feed that keeps it informed, and the tables it writes. Where policies are off in the
// configuration there is no feed, and the engine only reads annotations.
// Thread rule: start() and stop() on one thread; the engine from any.
#pragma once

#include <functional>
#include <memory>

#include "base/time.h"
#include "config/config.h"
#include "kube/cluster_watcher.h"
#include "policy/policy_engine.h"

namespace pintle::app {

// Where there are no tables to write: says so, every time.
class NoPolicyTables final : public ports::PolicyTables {
 public:
  Status replace(uint32_t, const model::PolicyRows&) override { return refusal(); }
  Status keep_only(const std::set<uint32_t>&) override { return refusal(); }

 private:
  static Status refusal() { return fail(Code::kUnsupported, "no tables for network policies here"); }
};

class PolicySide {
 public:
  struct Outputs {
    std::function<void(const PodUid&)> plan_changed;
    std::function<void(const policy::PolicyProblem&)> problem;
  };
  // REQUIRES: `clock` outlives this. `tables`: null: there are none.
  PolicySide(const kube::Kubeconfig& kubeconfig, const config::AgentConfig& config, const Clock& clock, Outputs outputs,
             ports::PolicyTables* tables = nullptr);

  // The feed takes its services from there. REQUIRES: before start(); `services` is there until stop().
  void share_services(kube::ServiceFeed& services) {
    if (watcher_) watcher_->share(services);
  }
  [[nodiscard]] Status start();
  void stop();
  [[nodiscard]] policy::PolicyEngine& engine() { return engine_; }

 private:
  NoPolicyTables none_;
  policy::PolicyEngine engine_;
  std::unique_ptr<kube::ClusterWatcher> watcher_;  // null: off
};

}  // namespace pintle::app
