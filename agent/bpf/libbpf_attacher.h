// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The attacher over libbpf: loads the shared programs once, attaches them to pod cgroups by pinned links, finds both again after
// a restart. Works without any eBPF: attach() then says why. Not for policy: what a refusal means is the caller's to decide.
// Order of an attach: slot, exec/exit filter, links, pins, rename of the folder; link descriptors are closed once pinned (400 B each).
// Thread rule: see ports/program_attacher.h. The event thread lives from the first on_event() on; the callback must not call on_event().
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>

#include "base/mutex.h"
#include "base/time.h"
#include "bpf/cgroup_programs.h"
#include "bpf/event_pump.h"
#include "bpf/features.h"
#include "bpf/layout.h"
#include "bpf/lifecycle_programs.h"
#include "bpf/link.h"
#include "bpf/slot_table.h"
#include "ports/program_attacher.h"

namespace pintle::bpf {

class LibbpfAttacher final : public ports::ProgramAttacher {
 public:
  struct Options {
    std::string bpffs = "/sys/fs/bpf";
    std::string own_bpffs = "/run/pintle/bpf";  // mounted when bpffs is none; empty: never
    std::string folder = "pintle";              // without dots
    uint32_t slots = PINTLE_MAX_SLOTS;          // pods at once, and one more
    uint32_t bulk_ring_bytes = PINTLE_BULK_RING_BYTES;
    uint32_t urgent_ring_bytes = PINTLE_URGENT_RING_BYTES;
    Duration bulk_batch = std::chrono::milliseconds(5);
  };
  // Never fails: see unsupported(). The clock must outlive this.
  [[nodiscard]] static std::unique_ptr<LibbpfAttacher> create(Options options, const Clock& clock);
  ~LibbpfAttacher() override;

  // Why there is no eBPF at all; nullopt: there is.
  [[nodiscard]] const std::optional<Error>& unsupported() const { return unsupported_; }
  [[nodiscard]] const PinLayout& layout() const { return layout_; }

  [[nodiscard]] Result<model::AttachReport> attach(const ports::PodIdentity& pod, const ports::PodCgroup& cgroup,
                                                   const model::ProgramPlan& plan) override;
  [[nodiscard]] Status detach(const PodUid& uid) override;
  [[nodiscard]] Result<std::vector<PodUid>> list_pinned() override;
  [[nodiscard]] Result<model::AttachReport> inspect(const PodUid& uid) override;
  [[nodiscard]] Result<model::PodCounters> counters(const PodUid& uid) override;
  [[nodiscard]] std::vector<model::FeatureProbe> features() override;
  void on_event(std::function<void(const model::ProgramEvent&)> observer) override;
  [[nodiscard]] uint64_t events_lost() override;

 private:
  struct PodRecord {
    CgroupId cgroup_id;
    std::string cgroup_path;          // empty: found by its pins, not yet attached by this run
    std::set<model::Hook> made_here;  // links of this run; others are adopted
    std::vector<model::HookStatus> refused;
  };
  struct Target;

  LibbpfAttacher(Options options, const Clock& clock) : options_(std::move(options)), clock_(clock) {}
  [[nodiscard]] Status load();
  void recover();
  void recover_pod(const PodUid& uid);
  [[nodiscard]] Result<uint32_t> assign_slot(const PodUid& uid);
  [[nodiscard]] Status watch_lifecycle(const ports::PodCgroup& cgroup, uint32_t slot);
  [[nodiscard]] Result<model::HookStatus> ensure_hook(Target& target, model::Hook hook);
  [[nodiscard]] Result<std::optional<model::HookStatus>> keep_pinned(Target& target, model::Hook hook);
  [[nodiscard]] Status finish(Target& target, const std::vector<model::Hook>& hooks);
  [[nodiscard]] model::HookStatus refusal(const Target& target, model::Hook hook, const Error& error) const;
  [[nodiscard]] model::HookStatus inspect_pin(const PodUid& uid, const PodRecord& record, model::Hook hook) const;
  void deliver(const pintle_event& event);

  const Options options_;
  const Clock& clock_;
  // Set by create(), const afterwards.
  PinLayout layout_;
  std::optional<Error> unsupported_;
  LoadOutcome outcome_;
  std::optional<CgroupPrograms> programs_;
  std::optional<LifecyclePrograms> lifecycle_;  // its pods and levels: guarded by mu_

  Mutex mu_;
  std::optional<SlotTable> slots_ PINTLE_GUARDED_BY(mu_);
  std::map<PodUid, PodRecord> pods_ PINTLE_GUARDED_BY(mu_);
  uint64_t lost_of_freed_slots_ PINTLE_GUARDED_BY(mu_) = 0;

  Mutex observer_mu_;  // held while the callback runs, so that clearing it waits for the last call
  std::function<void(const model::ProgramEvent&)> observer_ PINTLE_GUARDED_BY(observer_mu_);
  std::unique_ptr<EventPump> pump_;  // last: its thread uses the rest
};

}  // namespace pintle::bpf
