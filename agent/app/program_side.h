// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Operators' programs on this node: the registry, the folder and the ConfigMaps that fill it, and the loader it uses.
// Thread rule: start() and stop() on one thread; the registry from any.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/time.h"
#include "config/config.h"
#include "kube/program_watcher.h"
#include "programs/program_registry.h"
#include "sources/program_folder.h"

namespace pintle::app {

// Where nothing can be loaded: says so, every time.
class NoPodPrograms final : public ports::PodProgramLoader {
 public:
  Result<ports::LoadedPodProgram> load(const model::PodProgram&, std::string_view) override { return refusal(); }
  Status unload(const std::string&) override { return {}; }
  Result<std::vector<std::string>> list_loaded() override { return refusal(); }

 private:
  static std::unexpected<Error> refusal() { return fail(Code::kUnsupported, "there is no eBPF on this node: see 'pintlectl ebpf doctor'"); }
};

class ProgramSide {
 public:
  struct Outputs {
    std::function<void(const PodUid&)> plan_changed;
    std::function<void(const std::string& origin, const std::string& error)> problem;
  };
  // `others`: whose plans the programs are added to. `loader`: null: there is none. REQUIRES: all outlive this.
  ProgramSide(const kube::Kubeconfig& kubeconfig, const config::AgentConfig& config, const Clock& clock, ports::ProgramPlanner& others,
              Outputs outputs, ports::PodProgramLoader* loader);

  // What the folder holds is loaded when this returns.
  [[nodiscard]] Status start();
  void stop();
  [[nodiscard]] programs::ProgramRegistry& registry() { return registry_; }

 private:
  NoPodPrograms none_;
  programs::ProgramRegistry registry_;
  std::unique_ptr<sources::ProgramFolder> folder_;     // null: off
  std::unique_ptr<kube::ProgramWatcher> config_maps_;  // null: off
};

}  // namespace pintle::app
