// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/libbpf_attacher.h"

#include <algorithm>
#include <cerrno>
#include <ctime>

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/log.h"
#include "bpf/bpffs.h"
#include "bpf/convert.h"
#include "bpf/errno_causes.h"
#include "bpf/evidence.h"
#include "bpf/pin.h"

namespace pintle::bpf {

using model::Hook;
using model::HookState;
using model::HookStatus;

// One attach under way.
struct LibbpfAttacher::Target {
  const PodUid& uid;
  const ports::PodCgroup& cgroup;
  uint32_t slot = 0;
  bool slot_set = false;
  std::string folder;  // where pins of hooks that are there already lie
  bool existed = false;
  PendingPins pending;  // a new pod's
  PodRecord record;

  [[nodiscard]] const std::string& pin_folder() const { return existed ? folder : pending.path(); }
};

std::unique_ptr<LibbpfAttacher> LibbpfAttacher::create(Options options, const Clock& clock) {
  std::unique_ptr<LibbpfAttacher> attacher(new LibbpfAttacher(std::move(options), clock));
  if (auto loaded = attacher->load(); !loaded) {
    attacher->unsupported_ = with_context(std::move(loaded).error(), "eBPF is unavailable");
    attacher->unsupported_->code = Code::kUnsupported;
    attacher->programs_.reset();
    attacher->lifecycle_.reset();
  }
  return attacher;
}

LibbpfAttacher::~LibbpfAttacher() = default;

Status LibbpfAttacher::load() {
  auto bpffs = ensure_bpffs(options_.bpffs, options_.own_bpffs);
  if (!bpffs) {
    outcome_.bpffs_error = bpffs.error().message();
    outcome_.cgroup_error = outcome_.lifecycle_error = "not tried: no bpffs to pin in";
    return std::unexpected(std::move(bpffs).error());
  }
  outcome_.bpffs = *bpffs;
  layout_.root = fmt::format("{}/{}/{}", *bpffs, options_.folder, kSchema);
  outcome_.cgroup_error = outcome_.lifecycle_error = "not tried: no folder to pin in";
  for (const char* folder : {"prog", "map", "link", "pods"}) PINTLE_TRY(make_pin_folder(layout_.root + "/" + folder));

  auto programs = CgroupPrograms::load(layout_, {options_.slots, options_.bulk_ring_bytes});
  if (!programs) {
    outcome_.cgroup_error = programs.error().message();
    outcome_.lifecycle_error = "not tried: the cgroup programs did not load";
    return std::unexpected(std::move(programs).error());
  }
  outcome_.cgroup_error.reset();
  programs_ = std::move(*programs);

  auto lifecycle = LifecyclePrograms::load(layout_, {options_.slots, options_.urgent_ring_bytes});
  outcome_.lifecycle_error.reset();
  if (lifecycle) {
    lifecycle_ = std::move(*lifecycle);
  } else {
    outcome_.lifecycle_error = lifecycle.error().message();  // an optional feature: told by features()
  }
  recover();
  return {};
}

// Finds which slots are in use by the pods that have pins; everything else is free.
void LibbpfAttacher::recover() {
  {
    const MutexLock lock(mu_);
    slots_.emplace(programs_->slot_count());
  }
  const auto names = list_pins(layout_.pods());
  for (const auto& name : names.value_or(std::vector<std::string>())) {
    if (name.starts_with(kPendingPrefix)) {
      (void)remove_pin_folder(layout_.pods() + "/" + name);  // ignoring: removed again before its name is next used
      continue;
    }
    recover_pod(PodUid(name));
  }
  const MutexLock lock(mu_);
  if (!lifecycle_) return;
  std::set<CgroupId> known;
  for (const auto& [uid, record] : pods_)
    if (slots_->find(uid)) known.insert(record.cgroup_id);
  for (const auto id : lifecycle_->list_pods())
    if (!known.contains(id)) (void)lifecycle_->remove_pod(id);  // ignoring: a stale row counts for a slot that is zeroed when assigned
}

void LibbpfAttacher::recover_pod(const PodUid& uid) {
  PodRecord record;
  std::optional<uint32_t> slot;
  for (const auto hook : model::kDefaultHooks) {
    const auto link = BpfLink::open(layout_.pod(uid) + "/" + std::string(model::to_string(hook)));
    if (!link) continue;
    const auto info = link->info();
    if (!info || info->cgroup_id.empty()) continue;
    record.cgroup_id = info->cgroup_id;
    if ((slot = programs_->find_slot(info->cgroup_id))) break;
  }
  const MutexLock lock(mu_);
  if (slot) (void)slots_->restore(uid, *slot);  // false: the slot is another pod's; attach() gives a new one
  pods_.emplace(uid, std::move(record));
}

Result<uint32_t> LibbpfAttacher::assign_slot(const PodUid& uid) {
  const MutexLock lock(mu_);
  bool fresh = false;
  const auto slot = slots_->assign(uid, fresh);
  if (!slot) return fail(Code::kUnavailable, fmt::format("all {} slots of counters are in use", programs_->slot_count() - 1));
  if (fresh) {
    programs_->slot(*slot) = {};
    if (lifecycle_) lifecycle_->slot(*slot) = {};
  }
  return *slot;
}

Status LibbpfAttacher::watch_lifecycle(const ports::PodCgroup& cgroup, uint32_t slot) {
  if (!lifecycle_) return {};
  PINTLE_ASSIGN_OR_RETURN(const auto level, cgroup_level(*cgroup.dir));
  const MutexLock lock(mu_);
  return lifecycle_->add_pod(cgroup.id, slot, level);
}

Result<model::AttachReport> LibbpfAttacher::attach(const ports::PodIdentity& pod, const ports::PodCgroup& cgroup,
                                                   const model::ProgramPlan& plan) {
  if (unsupported_) return std::unexpected(*unsupported_);
  PINTLE_TRY(check_pod_uid(pod.uid));
  const auto& hooks = plan.hooks;
  if (cgroup.dir == nullptr || !cgroup.dir->valid())
    return fail(Code::kUnsupported, fmt::format("attach to pod '{}': this host has no cgroup v2 hierarchy", pod.uid.value()));

  Target target{pod.uid, cgroup};
  target.folder = layout_.pod(pod.uid);
  {
    const MutexLock lock(mu_);
    if (const auto it = pods_.find(pod.uid); it != pods_.end()) target.record = it->second;
    // A cgroup made anew under the same pod: its predecessor's row must not outlive it.
    if (lifecycle_ && !target.record.cgroup_id.empty() && target.record.cgroup_id != cgroup.id)
      (void)lifecycle_->remove_pod(target.record.cgroup_id);
  }
  target.record.cgroup_id = cgroup.id;
  target.record.cgroup_path = cgroup.path;
  target.record.refused.clear();
  PINTLE_ASSIGN_OR_RETURN(target.slot, assign_slot(pod.uid));
  // Ignoring a refusal: exec and exit events are hints, and v1 directories have no level.
  (void)watch_lifecycle(cgroup, target.slot);

  struct stat st{};
  target.existed = ::stat(target.folder.c_str(), &st) == 0;
  if (!target.existed) {
    PINTLE_ASSIGN_OR_RETURN(target.pending, PendingPins::create(layout_.pending_pod(pod.uid)));
  }
  model::AttachReport report{pod.uid, cgroup.id, cgroup.path, {}};
  for (const auto hook : model::kDefaultHooks) {
    if (std::find(hooks.begin(), hooks.end(), hook) == hooks.end()) continue;
    PINTLE_ASSIGN_OR_RETURN(auto status, ensure_hook(target, hook));
    if (status.state == HookState::kRefused) target.record.refused.push_back(status);
    report.hooks.push_back(std::move(status));
  }
  PINTLE_TRY(finish(target, hooks));
  const MutexLock lock(mu_);
  pods_[pod.uid] = std::move(target.record);
  return report;
}

// The hook's live pin, with the program brought up to date; nullopt: there is none that can stay.
Result<std::optional<HookStatus>> LibbpfAttacher::keep_pinned(Target& target, Hook hook) {
  if (!target.existed) return std::nullopt;
  const auto link = BpfLink::open(target.folder + "/" + std::string(model::to_string(hook)));
  if (!link) return std::nullopt;
  const auto info = link->info();
  const auto& program = programs_->program(hook);
  // Dead, or of a cgroup that was made anew, or (LINK_UPDATE would not notice) of another hook.
  if (!info || info->cgroup_id != target.cgroup.id || info->attach_type != attach_type_of(hook)) return std::nullopt;
  if (info->program_id != program.info.id) {
    if (!programs_->maps_reused()) return std::nullopt;  // it counts into maps that nobody reads any more
    if (auto updated = link->update(program.fd.get()); !updated) return std::nullopt;
  }
  HookStatus status;
  status.hook = hook;
  status.state = target.record.made_here.contains(hook) ? HookState::kAttached : HookState::kAdopted;
  status.link_id = info->id;
  status.program_id = program.info.id;
  status.program_tag = program.info.tag;
  return status;
}

Result<HookStatus> LibbpfAttacher::ensure_hook(Target& target, Hook hook) {
  PINTLE_ASSIGN_OR_RETURN(auto kept, keep_pinned(target, hook));
  HookStatus status;
  if (kept) {
    status = std::move(*kept);
  } else {
    const auto& program = programs_->program(hook);
    auto link = BpfLink::attach_cgroup(program.fd.get(), target.cgroup.dir->get(), attach_type_of(hook));
    if (!link) {
      target.record.made_here.erase(hook);
      return refusal(target, hook, link.error());
    }
    PINTLE_ASSIGN_OR_RETURN(const auto info, link->info());
    const std::string pin = target.pin_folder() + "/" + std::string(model::to_string(hook));
    PINTLE_TRY(detach_pinned(pin));  // the new one is in force; the old one is dead or counts for nobody
    PINTLE_TRY(link->pin(pin));
    target.record.made_here.insert(hook);
    status.hook = hook;
    status.state = HookState::kAttached;
    status.link_id = info.id;
    status.program_id = program.info.id;
    status.program_tag = program.info.tag;
  }
  if (!target.slot_set) {
    PINTLE_TRY(programs_->set_slot(target.cgroup.id, target.slot));
    target.slot_set = true;
  }
  return status;
}

// Drops pins of hooks no longer wanted, and puts a new pod's folder in place.
Status LibbpfAttacher::finish(Target& target, const std::vector<Hook>& hooks) {
  if (target.existed) {
    for (const auto hook : model::kDefaultHooks) {
      const bool refused =
          std::any_of(target.record.refused.begin(), target.record.refused.end(), [&](const auto& r) { return r.hook == hook; });
      if (!refused && std::find(hooks.begin(), hooks.end(), hook) != hooks.end()) continue;
      PINTLE_TRY(detach_pinned(target.folder + "/" + std::string(model::to_string(hook))));
      target.record.made_here.erase(hook);
    }
    return {};
  }
  if (target.record.made_here.empty()) return {};  // nothing pinned: the pending folder goes
  return target.pending.commit(target.folder);
}

HookStatus LibbpfAttacher::refusal(const Target& target, Hook hook, const Error& error) const {
  const auto why = explain_attach(error.sys_errno, hook, gather_evidence(*target.cgroup.dir, target.cgroup.path, attach_type_of(hook)));
  HookStatus status;
  status.hook = hook;
  status.state = HookState::kRefused;
  status.sys_errno = error.sys_errno;
  status.program_id = programs_->program(hook).info.id;
  status.program_tag = programs_->program(hook).info.tag;
  status.error = fmt::format("attach '{}' to '{}': {}: {}", model::to_string(hook), target.cgroup.path, error.message(), why.text);
  return status;
}

Status LibbpfAttacher::detach(const PodUid& uid) {
  if (unsupported_) return {};
  PINTLE_TRY(check_pod_uid(uid));
  for (const auto hook : model::kDefaultHooks) PINTLE_TRY(detach_pinned(layout_.pod(uid) + "/" + std::string(model::to_string(hook))));
  PINTLE_TRY(remove_pin_folder(layout_.pod(uid)));
  const MutexLock lock(mu_);
  const auto it = pods_.find(uid);
  if (it != pods_.end()) {
    if (lifecycle_ && !it->second.cgroup_id.empty()) (void)lifecycle_->remove_pod(it->second.cgroup_id);  // ignoring: as in recover()
    pods_.erase(it);
  }
  if (const auto slot = slots_->find(uid)) {
    lost_of_freed_slots_ += load_counter(programs_->slot(*slot).connects_lost);
    if (lifecycle_) lost_of_freed_slots_ += load_counter(lifecycle_->slot(*slot).lost);
    // Zeroed now for events_lost(), and again when assigned: a packet may still be under way.
    programs_->slot(*slot) = {};
    if (lifecycle_) lifecycle_->slot(*slot) = {};
    slots_->release(uid);
  }
  return {};
}

Result<std::vector<PodUid>> LibbpfAttacher::list_pinned() {
  if (unsupported_) return std::vector<PodUid>();
  PINTLE_ASSIGN_OR_RETURN(auto names, list_pins(layout_.pods()));
  std::sort(names.begin(), names.end());
  std::vector<PodUid> uids;
  for (auto& name : names)
    if (!name.starts_with(kPendingPrefix)) uids.emplace_back(std::move(name));
  return uids;
}

HookStatus LibbpfAttacher::inspect_pin(const PodUid& uid, const PodRecord& record, Hook hook) const {
  HookStatus status;
  status.hook = hook;
  const auto link = BpfLink::open(layout_.pod(uid) + "/" + std::string(model::to_string(hook)));
  if (!link) {
    status.state = record.made_here.contains(hook) ? HookState::kDead : HookState::kOff;
    if (status.state == HookState::kDead)
      status.error = fmt::format("hook '{}': its pin is gone: {}", model::to_string(hook), link.error().message());
    return status;
  }
  const auto info = link->info();
  if (!info) {
    status.state = HookState::kDead;
    status.sys_errno = info.error().sys_errno;
    status.error = info.error().message();
    return status;
  }
  status.link_id = info->id;
  status.program_id = info->program_id;
  if (info->program_id == programs_->program(hook).info.id) status.program_tag = programs_->program(hook).info.tag;
  struct stat st{};
  const bool replaced =
      !record.cgroup_path.empty() && ::stat(record.cgroup_path.c_str(), &st) == 0 && st.st_ino != record.cgroup_id.value();
  if (info->cgroup_id.empty() || info->cgroup_id != record.cgroup_id || replaced) {
    status.state = HookState::kDead;
    status.error = fmt::format("hook '{}': {}", model::to_string(hook),
                               replaced ? "the pod's cgroup was removed and made again without its programs"
                                        : "it was detached, or the cgroup it was attached to is gone");
    return status;
  }
  status.state = record.made_here.contains(hook) ? HookState::kAttached : HookState::kAdopted;
  return status;
}

Result<model::AttachReport> LibbpfAttacher::inspect(const PodUid& uid) {
  if (unsupported_) return std::unexpected(*unsupported_);
  PINTLE_TRY(check_pod_uid(uid));
  PodRecord record;
  {
    const MutexLock lock(mu_);
    const auto it = pods_.find(uid);
    if (it == pods_.end()) return fail(Code::kNotFound, fmt::format("nothing is attached to pod '{}'", uid.value()));
    record = it->second;
  }
  model::AttachReport report{uid, record.cgroup_id, record.cgroup_path, {}};
  for (const auto hook : model::kDefaultHooks) {
    const auto refused = std::find_if(record.refused.begin(), record.refused.end(), [&](const auto& r) { return r.hook == hook; });
    auto status = refused != record.refused.end() ? *refused : inspect_pin(uid, record, hook);
    if (status.state != HookState::kOff) report.hooks.push_back(std::move(status));
  }
  return report;
}

Result<model::PodCounters> LibbpfAttacher::counters(const PodUid& uid) {
  if (unsupported_) return std::unexpected(*unsupported_);
  const MutexLock lock(mu_);
  const auto number = slots_->find(uid);
  if (!number) return fail(Code::kNotFound, fmt::format("nothing counts for pod '{}'", uid.value()));
  const auto& traffic = programs_->slot(*number);
  model::PodCounters out;
  out.rx_bytes = load_counter(traffic.rx_bytes);
  out.rx_packets = load_counter(traffic.rx_packets);
  out.tx_bytes = load_counter(traffic.tx_bytes);
  out.tx_packets = load_counter(traffic.tx_packets);
  out.connects = load_counter(traffic.connects);
  out.events_lost = load_counter(traffic.connects_lost);
  if (lifecycle_) {
    const auto& lifecycle = lifecycle_->slot(*number);
    out.execs = load_counter(lifecycle.execs);
    out.exits = load_counter(lifecycle.exits);
    out.events_lost += load_counter(lifecycle.lost);
  }
  return out;
}

std::vector<model::FeatureProbe> LibbpfAttacher::features() { return probe_features(outcome_); }

void LibbpfAttacher::on_event(std::function<void(const model::ProgramEvent&)> observer) {
  const bool wanted = observer != nullptr;
  {
    const MutexLock lock(observer_mu_);
    observer_ = std::move(observer);
  }
  // Not before somebody listens: what was recorded while no agent ran is still in the rings.
  if (!wanted || pump_ || unsupported_) return;
  auto pump = EventPump::start({lifecycle_ ? lifecycle_->ring_fd() : -1, programs_->ring_fd(), options_.bulk_batch},
                               [this](const pintle_event& event) { deliver(event); });
  if (pump) {
    pump_ = std::move(*pump);
  } else {
    PINTLE_LOG(kDebug, "bpf", "no events: {}", pump.error().message());
  }
}

void LibbpfAttacher::deliver(const pintle_event& event) {
  PodUid uid;
  {
    const MutexLock lock(mu_);
    uid = slots_->owner(event.slot);
  }
  timespec boot{};
  (void)::clock_gettime(CLOCK_BOOTTIME, &boot);  // ignoring: cannot fail for this clock
  const Duration since_boot = std::chrono::seconds(boot.tv_sec) + std::chrono::nanoseconds(boot.tv_nsec);
  const auto converted = to_model(event, uid, clock_.now().time_since_epoch() - since_boot);
  const MutexLock lock(observer_mu_);
  if (observer_) observer_(converted);
}

uint64_t LibbpfAttacher::events_lost() {
  if (unsupported_) return 0;
  const MutexLock lock(mu_);
  uint64_t total = lost_of_freed_slots_;
  for (uint32_t i = 0; i < programs_->slot_count(); ++i) {
    total += load_counter(programs_->slot(i).connects_lost);
    if (lifecycle_) total += load_counter(lifecycle_->slot(i).lost);
  }
  return total;
}

}  // namespace pintle::bpf
