// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Operators' programs in the kernel: each loaded once under its name, pinned, and shared by all pods by pinned links. Pins outlive the
// agent: the same bytes after a restart are the same program, the same links. A new version is put into the links as they are (the
// kernel compares what it replaces); where that can't be, the new link is made before the old one goes. Of a version that is refused
// nothing happens to the one before.
// Pins: see bpf/layout.h. Maps that an object wants pinned by name lie in the program's folder, and only there.
// Not for: which pods get what (programs/program_registry.h), what a refusal means for a pod (lifecycle/programs.h).
// Thread rule: any thread; one lock, held for the microseconds of a pod's links, not while the verifier works.
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/time.h"
#include "bpf/cgroup_programs.h"
#include "bpf/link.h"
#include "bpf/pod_program_object.h"
#include "ports/cgroup_tree.h"
#include "ports/pod_programs.h"

namespace pintle::bpf {

class PodPrograms final : public ports::PodProgramLoader {
 public:
  // REQUIRES: `own` outlives this. The layout's folders exist.
  PodPrograms(PinLayout layout, const CgroupPrograms& own) : layout_(std::move(layout)), own_(own) {}

  [[nodiscard]] Result<ports::LoadedPodProgram> load(const model::PodProgram& program, std::string_view object) override;
  [[nodiscard]] Status unload(const std::string& name) override;
  [[nodiscard]] Result<std::vector<std::string>> list_loaded() override;

  // Puts the plan's programs in force, after Pintle's own hooks. A refusal is a row. Calls for one pod are serial by the caller.
  [[nodiscard]] Result<std::vector<model::PodProgramStatus>> attach(const PodUid& uid, const ports::PodCgroup& cgroup,
                                                                    const model::ProgramPlan& plan);
  // Read back from the kernel. `also_ours`: ids of Pintle's programs on cgroups above.
  [[nodiscard]] std::vector<model::PodProgramStatus> inspect(const PodUid& uid, const Clock& clock, std::vector<uint32_t> also_ours);
  // Its pins have gone.
  void forget(const PodUid& uid);
  // Of all that are loaded, and of what the pod's links hold, which may be of an earlier run.
  [[nodiscard]] std::vector<uint32_t> program_ids(const PodUid& uid);

 private:
  struct Loaded {
    std::string key;  // of bytes, function and hook
    UniqueFd fd;
    ProgramInfo info;
    uint32_t attach_type = 0;
    bool adopted = false;
    std::map<uint32_t, UniqueFd> replaced;  // earlier versions that links may still hold, by id
  };
  struct Record {
    CgroupId cgroup_id;
    std::string cgroup_path;
    std::vector<model::PodProgramStatus> rows;
    std::set<std::string> made_here;
  };
  struct Pod {
    const PodUid& uid;
    const ports::PodCgroup& cgroup;
    std::string folder;
    Record& record;
  };

  [[nodiscard]] Result<Loaded> adopt(const model::PodProgram& program, const std::string& key) const;
  [[nodiscard]] Result<Loaded> load_anew(const model::PodProgram& program, std::string_view object, const std::string& key) const;
  void settle(const std::string& name, Loaded fresh) PINTLE_REQUIRES(mu_);
  void release_replaced(const std::string& name, Loaded& loaded) const PINTLE_REQUIRES(mu_);
  [[nodiscard]] Result<model::PodProgramStatus> ensure(Pod& pod, const model::PlannedProgram& wanted) PINTLE_REQUIRES(mu_);
  [[nodiscard]] Result<bool> keep(const Pod& pod, const model::PlannedProgram& wanted, const Loaded& loaded,
                                  model::PodProgramStatus& status) PINTLE_REQUIRES(mu_);
  [[nodiscard]] Status attach_new(Pod& pod, const model::PlannedProgram& wanted, const Loaded& loaded, model::PodProgramStatus& status)
      PINTLE_REQUIRES(mu_);
  [[nodiscard]] Result<UniqueFd> make_link(const Pod& pod, const Loaded& loaded, model::PodProgramStatus& status) PINTLE_REQUIRES(mu_);
  [[nodiscard]] bool in_order(const Pod& pod, const model::PlannedProgram& wanted, uint32_t program_id) const PINTLE_REQUIRES(mu_);
  [[nodiscard]] Status drop_others(Pod& pod, const model::ProgramPlan& plan) PINTLE_REQUIRES(mu_);
  void look(model::PodProgramStatus& row, const std::string& folder, const Record& record, const Clock& clock,
            const std::vector<uint32_t>& ours) const PINTLE_REQUIRES(mu_);
  [[nodiscard]] std::vector<uint32_t> ids(const std::string& folder) const PINTLE_REQUIRES(mu_);

  const PinLayout layout_;
  const CgroupPrograms& own_;
  Mutex mu_;
  std::map<std::string, Loaded> loaded_ PINTLE_GUARDED_BY(mu_);  // by name
  std::map<PodUid, Record> pods_ PINTLE_GUARDED_BY(mu_);
  bool no_order_ PINTLE_GUARDED_BY(mu_) = false;  // this kernel takes no BEFORE: found by trying
};

}  // namespace pintle::bpf
