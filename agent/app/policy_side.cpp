// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/policy_side.h"

#include "app/node_facts.h"

namespace pintle::app {

PolicySide::PolicySide(const kube::Kubeconfig& kubeconfig, const config::AgentConfig& config, const Clock& clock, Outputs outputs,
                       ports::PolicyTables* tables)
    : engine_(tables == nullptr ? none_ : *tables, clock, policy::EngineOptions{.defaults = config.pintle.ebpf.programs},
              policy::EngineOutputs{.plan_changed = std::move(outputs.plan_changed),
                                    .problem = std::move(outputs.problem),
                                    .node_addresses = [folder = config.pintle.node_network] {
                                      return folder.empty() ? interface_addresses() : node_addresses_of(folder);
                                    }}) {
  if (config.pintle.ebpf.policy != model::EbpfPolicy::kOff && config.pintle.ebpf.programs.network_policy != model::Enforcement::kOff)
    watcher_ = std::make_unique<kube::ClusterWatcher>(kubeconfig, clock, kube::ClusterWatcherOptions{}, engine_);
}

Status PolicySide::start() { return watcher_ ? watcher_->start() : Status{}; }

void PolicySide::stop() {
  if (watcher_) watcher_->stop();
}

}  // namespace pintle::app
