// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The attacher over libbpf: loads the shared programs once, attaches them to pod cgroups by pinned links, finds both again after
// a restart. Works without any eBPF: attach() then says why. Not for policy: what a refusal means is the caller's to decide.
// Order of an attach: slot, rules, the slot's words, exec/exit filter, links in kAllHooks' order, pins, rename of the folder, hooks
// no longer wanted, operators' programs. Link descriptors are closed once pinned (400 B each).
// Thread rule: see ports/program_attacher.h. The event thread lives from the first on_event() on; the callback must not call on_event().
#pragma once

#include <map>
#include <memory>
#include <optional>

#include "base/mutex.h"
#include "base/time.h"
#include "bpf/cgroup_programs.h"
#include "bpf/event_reader.h"
#include "bpf/features.h"
#include "bpf/guard_tables.h"
#include "bpf/inventory.h"
#include "bpf/kubepods_programs.h"
#include "bpf/layout.h"
#include "bpf/lifecycle_programs.h"
#include "bpf/link_watch.h"
#include "bpf/old_schema.h"
#include "bpf/pod_links.h"
#include "bpf/pod_programs.h"
#include "bpf/pod_slots.h"
#include "bpf/policy_table_maps.h"
#include "bpf/set_switch.h"
#include "ports/program_attacher.h"

namespace pintle::bpf {

class LibbpfAttacher final : public ports::ProgramAttacher {
 public:
  struct Options {
    std::string bpffs = "/sys/fs/bpf";
    std::string own_bpffs = "/run/pintle/bpf";  // mounted when bpffs is none; empty: never
    std::string folder = "pintle";              // without dots
    MapSizes sizes;
    bool kubepods = false;  // beside a kubelet: count on kubepods too (bpf/kubepods_programs.h)
    Duration bulk_batch = std::chrono::milliseconds(5);
    std::string set{model::kBuiltinSet};  // the program set to start with …
    bool keep_set = false;                // … unless an earlier run left another one in force
    std::string sets_folder;              // of object files; empty: there is only the one compiled in
    std::string canary_parent;            // where the check of a set makes its cgroup; empty: it may make none
    std::function<Status(const ProgramSet&, bool first)> more_checks_for_test = {};
  };
  // Never fails: see unsupported(). The clock must outlive this.
  [[nodiscard]] static std::unique_ptr<LibbpfAttacher> create(Options options, const Clock& clock);
  ~LibbpfAttacher() override;

  // Why there is no eBPF at all; nullopt: there is.
  [[nodiscard]] const std::optional<Error>& unsupported() const { return unsupported_; }
  [[nodiscard]] const PinLayout& layout() const { return layout_; }
  // Counts for all pods below a kubepods of somebody else's, and tells which of its children are QoS classes. REQUIRES: Options::kubepods.
  // kUnsupported, with the reason; pods are then counted from the moment their own hooks are in force.
  [[nodiscard]] Status attach_kubepods(const std::string& kubepods);
  [[nodiscard]] Status add_kubepods_class(const std::string& directory);
  // The rows that the plans' network_policy names; lives as long as this. Null where there is no eBPF.
  [[nodiscard]] ports::PolicyTables* policy_tables() { return policy_ ? &*policy_ : nullptr; }

  // Operators' programs, which the plans' `programs` name; lives as long as this. Null where there is no eBPF.
  [[nodiscard]] ports::PodProgramLoader* pod_programs() { return pod_programs_ ? &*pod_programs_ : nullptr; }

  [[nodiscard]] Result<model::AttachReport> attach(const ports::PodIdentity& pod, const ports::PodCgroup& cgroup,
                                                   const model::ProgramPlan& plan) override;
  [[nodiscard]] Status detach(const PodUid& uid) override;
  [[nodiscard]] Result<std::vector<PodUid>> list_pinned() override;
  [[nodiscard]] Result<model::AttachReport> inspect(const PodUid& uid) override;
  [[nodiscard]] Result<model::PodCounters> counters(const PodUid& uid) override;
  [[nodiscard]] Status use_program_set(const std::string& name) override;
  [[nodiscard]] model::ProgramSetStatus program_set() override;
  void each_counters(const CountersVisitor& visit) override;
  [[nodiscard]] std::vector<model::FeatureProbe> features() override;
  void on_event(std::function<void(const model::ProgramEvent&)> observer) override;
  void on_suspicion(std::function<void(const PodUid&)> observer) override;
  [[nodiscard]] uint64_t events_lost() override;
  // Of each ring: what this run has read of it, and what found no room.
  [[nodiscard]] std::vector<RingCount> ring_counts();
  // Of the array of slots; one of them is nobody's.
  [[nodiscard]] uint32_t slots_in_use();

 private:
  LibbpfAttacher(Options options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}
  [[nodiscard]] Status load();
  [[nodiscard]] Status load_programs();
  // `shared_maps`: of the lifecycle object, once they are there.
  [[nodiscard]] Result<CgroupPrograms> load_set(ProgramLoader& loader, const std::function<std::optional<SharedMaps>()>& shared_maps);
  [[nodiscard]] SetSwitch::Outcome run_switch(const ProgramSetPtr& next);
  [[nodiscard]] std::optional<PodPlace> place_of(const PodUid& uid);
  [[nodiscard]] Status switch_to(const ProgramSetPtr& next);
  [[nodiscard]] std::vector<Error> move_pods();
  void note_leftovers(const std::vector<Error>& errors);
  void mend_leftovers();
  void note_failed_set(const std::string& wanted, const std::string& version, uint64_t object, const Error& error, SwitchStep end);
  [[nodiscard]] std::optional<Error> failed_before(const SetObject& object);
  [[nodiscard]] Status recover();
  void recover_pod(const PodUid& uid);
  void recover_kubepods() PINTLE_REQUIRES(mu_);
  void watch_links(const PodUid& uid, bool on);
  void cgroup_gone(CgroupId cgroup);
  [[nodiscard]] bool count_on_kubepods(CgroupId cgroup, CgroupId before, uint32_t slot, const pintle_control& control,
                                       std::vector<std::string>& notes);
  void take_early(CgroupId cgroup, uint32_t slot);
  [[nodiscard]] Status watch_lifecycle(const ports::PodCgroup& cgroup, CgroupId before, uint32_t slot);
  [[nodiscard]] Result<std::vector<model::HookStatus>> attach_hooks(const PodUid& uid, const ports::PodCgroup& cgroup, uint32_t slot,
                                                                    const std::vector<model::Hook>& wanted, PodRecord& record);
  [[nodiscard]] Result<std::vector<model::HookStatus>> attach_hooks_once(const PodUid& uid, const ports::PodCgroup& cgroup, uint32_t slot,
                                                                         const std::vector<model::Hook>& wanted, PodRecord& record,
                                                                         bool& outdated);

  const Options options_;
  const Clock& clock_;
  // Set by create(), const afterwards.
  PinLayout layout_;
  std::optional<Error> unsupported_;
  LoadOutcome outcome_;
  OldSchemas old_schemas_;
  std::optional<CgroupPrograms> programs_;
  std::optional<PodSlots> slots_;
  std::optional<GuardTables> guards_;
  std::optional<PolicyTableMaps> policy_;
  std::optional<PodPrograms> pod_programs_;

  Mutex mu_;
  std::optional<LifecyclePrograms> lifecycle_;  // its pods and levels: guarded by mu_
  std::optional<KubepodsPrograms> kubepods_;    // guarded by mu_ after load()
  std::optional<Error> kubepods_error_;         // const after load()
  std::map<PodUid, PodRecord> pods_ PINTLE_GUARDED_BY(mu_);
  model::ProgramSetStatus set_status_ PINTLE_GUARDED_BY(mu_);     // but for what programs_ says
  uint64_t failed_set_ PINTLE_GUARDED_BY(mu_) = 0;                // the object of the attempt that failed; 0: none was read
  std::shared_ptr<LinkWatch> link_watch_ PINTLE_GUARDED_BY(mu_);  // null: nobody asked
  std::optional<EventReader> events_;                             // last: its thread uses the rest
};

}  // namespace pintle::bpf
