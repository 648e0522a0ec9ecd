// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/program_side.h"

namespace pintle::app {
namespace {

bool wants_programs(const config::EbpfOptions& ebpf) { return ebpf.policy != model::EbpfPolicy::kOff; }

std::set<std::string> sources_of(const config::EbpfOptions& ebpf) {
  std::set<std::string> names;
  if (!wants_programs(ebpf)) return names;
  if (!ebpf.programs_folder.empty()) names.emplace(sources::kFolderSource);
  if (!ebpf.programs_namespace.empty()) names.emplace(kube::kConfigMapSource);
  return names;
}

}  // namespace

ProgramSide::ProgramSide(const kube::Kubeconfig& kubeconfig, const config::AgentConfig& config, const Clock& clock,
                         ports::ProgramPlanner& others, Outputs outputs, ports::PodProgramLoader* loader)
    : registry_(loader == nullptr ? none_ : *loader, others, clock,
                // Beside a kubelet pods run whether or not we hold their programs back.
                {.sources = sources_of(config.pintle.ebpf), .hold_pods = config.pintle.mode != config::Mode::kCompanion},
                {.plan_changed = std::move(outputs.plan_changed), .problem = std::move(outputs.problem)}) {
  const auto& ebpf = config.pintle.ebpf;
  if (!wants_programs(ebpf)) return;
  if (!ebpf.programs_folder.empty())
    folder_ = std::make_unique<sources::ProgramFolder>(clock, sources::ProgramFolderOptions{.path = ebpf.programs_folder}, registry_);
  if (!ebpf.programs_namespace.empty())
    config_maps_ = std::make_unique<kube::ProgramWatcher>(kubeconfig, clock,
                                                          kube::ProgramWatcherOptions{.namespace_ = ebpf.programs_namespace}, registry_);
}

Status ProgramSide::start() {
  if (folder_) PINTLE_TRY(folder_->start());
  if (config_maps_) PINTLE_TRY(config_maps_->start());
  // With no source at all, what an earlier configuration left goes.
  if (!folder_ && !config_maps_) registry_.synced("none");
  return {};
}

void ProgramSide::stop() {
  if (config_maps_) config_maps_->stop();
  if (folder_) folder_->stop();
}

}  // namespace pintle::app
