// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Operators' programs on this node: what sources declare goes to the loader, and what is loaded goes into the plans of the pods that it
// selects, on top of what another planner says (network policy, annotations). A change that is refused changes nothing: what was in force,
// with its selector, stays, and is told as Outdated. A name belongs to whoever declared it first, until that declaration goes.
// Until every source has told all it has, a plan says so, and what is attached stays; where pods are ours to hold, new ones wait, but for
// static pods, which may be what the source waits for.
// Thread rule: any thread. Sources' calls are serial among themselves and may take as long as the verifier does; plans don't wait for them.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/time.h"
#include "ports/pod_programs.h"
#include "ports/program_planner.h"

namespace pintle::programs {

inline constexpr size_t kMostPrograms = 64;  // on a node: the kernel takes as many of one hook on one cgroup

struct RegistryOptions {
  std::set<std::string> sources;  // that must have told before all is known
  bool hold_pods = true;          // new pods wait for the sources
};
struct RegistryOutputs {
  std::function<void(const PodUid&)> plan_changed;  // of a pod that has asked; never on the thread that asks
  // A program, file or source that is refused; an empty error: it is well again. `origin`: "program x", "/etc/…", "source configmaps".
  std::function<void(const std::string& origin, const std::string& error)> problem;
};

class ProgramRegistry final : public ports::PodProgramSink, public ports::ProgramPlanner, public ports::PodProgramView {
 public:
  // REQUIRES: all outlive this.
  ProgramRegistry(ports::PodProgramLoader& loader, ports::ProgramPlanner& others, const Clock& clock, RegistryOptions options,
                  RegistryOutputs outputs)
      : loader_(loader), others_(others), clock_(clock), options_(std::move(options)), out_(std::move(outputs)) {}

  void put(ports::PodProgramFile file) override;
  void gone(const std::string& origin) override;
  void synced(const std::string& source) override;
  void trouble(const std::string& source, const std::string& error) override;

  // kUnavailable: a source has not told yet.
  [[nodiscard]] Result<model::ProgramPlan> plan_for(const model::Pod& pod) override;
  void forget(const PodUid& uid) override;
  // A pod's labels may have changed.
  void set_pod(const model::Pod& pod);
  [[nodiscard]] std::vector<ports::PodProgramRecord> list_programs() override;

 private:
  struct Entry {
    std::string origin;
    model::PodProgram wanted;
    std::optional<model::PodProgram> in_force;
    ports::LoadedPodProgram loaded;
    std::string digest;
    int sys_errno = 0;
    std::string error;
    Time since;
  };
  struct File {
    std::string source;
    std::set<std::string> names;                 // of the entries that are its own
    std::vector<ports::DeclaredProgram> others;  // whose names are taken
  };
  struct Local {
    std::string namespace_;
    model::StringMap labels;
    std::vector<model::PlannedProgram> planned;
    bool all_known = false;
    bool asked = false;  // for a plan, which it got or was refused
  };

  void declare(const std::string& origin, ports::DeclaredProgram declared);
  [[nodiscard]] bool may_declare(const std::string& origin, const ports::DeclaredProgram& declared);
  void remove(const std::string& name);
  void hand_on(const std::set<std::string>& free_names);
  void replan();
  [[nodiscard]] bool all_known() const PINTLE_REQUIRES(mu_);
  [[nodiscard]] std::vector<model::PlannedProgram> planned_for(const Local& local) const PINTLE_REQUIRES(mu_);
  [[nodiscard]] std::string missing_sources() const PINTLE_REQUIRES(mu_);
  void tell(const std::string& origin, const std::string& error);

  ports::PodProgramLoader& loader_;
  ports::ProgramPlanner& others_;
  const Clock& clock_;
  const RegistryOptions options_;
  const RegistryOutputs out_;
  Mutex sources_mu_;  // one source at a time; before mu_
  Mutex mu_;
  std::map<std::string, Entry> programs_ PINTLE_GUARDED_BY(mu_);
  std::map<std::string, File> files_ PINTLE_GUARDED_BY(mu_);  // by origin
  std::map<PodUid, Local> pods_ PINTLE_GUARDED_BY(mu_);
  std::set<std::string> told_ PINTLE_GUARDED_BY(mu_);                   // sources
  std::map<std::string, std::string> troubles_ PINTLE_GUARDED_BY(mu_);  // source -> error
};

}  // namespace pintle::programs
