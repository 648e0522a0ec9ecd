// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/libbpf_attacher.h"

#include <algorithm>
#include <iterator>
#include <set>

#include <sys/stat.h>

#include <fmt/format.h>

#include "base/log.h"
#include "bpf/bpffs.h"
#include "bpf/canary.h"
#include "bpf/evidence.h"
#include "bpf/pin.h"
#include "bpf/plan_words.h"
#include "bpf/privilege.h"

namespace pintle::bpf {

using model::Hook;
using model::HookState;
using model::HookStatus;

namespace {

// What the slot tells of a hook beside its link. Calls of both families are one counter, refusals of all calls another.
void add_uses(HookStatus& status, const model::PodCounters& counters) {
  const auto calls = [&](uint64_t hits) { status.hits = hits, status.drops = counters.denied, status.counted_together = true; };
  switch (status.hook) {
    case Hook::kIngress: status.hits = counters.rx_packets + counters.rx_drops, status.drops = counters.rx_drops; break;
    case Hook::kEgress: status.hits = counters.tx_packets + counters.tx_drops, status.drops = counters.tx_drops; break;
    case Hook::kConnect4:
    case Hook::kConnect6: calls(counters.connects); break;
    case Hook::kSendmsg4:
    case Hook::kSendmsg6: calls(counters.sendmsgs); break;
    case Hook::kBind4:
    case Hook::kBind6: calls(counters.binds); break;
    case Hook::kDevice: status.drops = counters.device_denied; break;
    case Hook::kSysctl: status.drops = counters.sysctl_denied; break;
    case Hook::kSetsockopt: status.drops = counters.sockopt_denied; break;
    case Hook::kSockOps: break;  // nothing refuses, and only what is asked for is counted
  }
}

std::vector<model::ProgramSetLeftover> told(const std::vector<Error>& errors) {
  std::vector<model::ProgramSetLeftover> out;
  out.reserve(errors.size());
  for (const auto& error : errors) out.push_back({error.sys_errno, error.message()});
  return out;
}

}  // namespace

std::unique_ptr<LibbpfAttacher> LibbpfAttacher::create(Options options, const Clock& clock) {
  std::unique_ptr<LibbpfAttacher> attacher(new LibbpfAttacher(std::move(options), clock));
  if (auto loaded = attacher->load(); !loaded) {
    attacher->unsupported_ = with_context(std::move(loaded).error(), "eBPF is unavailable");
    attacher->unsupported_->code = Code::kUnsupported;
    attacher->policy_.emplace(*attacher->unsupported_);
    attacher->lifecycle_.reset();
  }
  return attacher;
}

LibbpfAttacher::~LibbpfAttacher() {
  on_suspicion(nullptr);  // its thread asks the rest
}

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
  PINTLE_TRY(check_pin_folders(layout_));
  auto recovered = recover_set_folders(layout_);
  if (!options_.canary_parent.empty()) Canary::sweep(options_.canary_parent);
  for (const char* folder : {"map", "link", "node", "operators", "pods"}) PINTLE_TRY(make_pin_folder(layout_.root + "/" + folder));
  PINTLE_TRY(load_programs());
  {
    const MutexLock lock(mu_);
    set_status_.since = clock_.now();
  }
  slots_.emplace(*programs_);
  guards_.emplace(*programs_);
  policy_.emplace(*programs_, options_.sizes);
  pod_programs_.emplace(layout_, *programs_);
  events_.emplace(*programs_, *slots_, clock_, options_.bulk_batch);
  old_schemas_ = OldSchemas::find(layout_);
  if (lifecycle_) old_schemas_.drop_shared_links();
  if (options_.kubepods) {
    if (auto loaded = KubepodsPrograms::load(layout_, programs_->map("pod_slots"), programs_->slot_count()))
      kubepods_ = *std::move(loaded);
    else
      kubepods_error_ = std::move(loaded).error();
  }
  PINTLE_TRY(recover());
  const bool switched = programs_->fresh() && switch_to(programs_->fresh());  // else the set before stays in force: program_set() tells
  if (recovered.sweep_pods && !switched) std::ranges::move(move_pods(), std::back_inserter(recovered.leftovers));
  note_leftovers(recovered.leftovers);
  return {};
}

// The lifecycle object's maps first, which the cgroup object uses; the programs of both together. Where an earlier run left slots, only
// once the lifecycle object is loaded: if that fails, the old ones stay in use. Where it left none, each of two threads loads an object.
Status LibbpfAttacher::load_programs() {
  outcome_.lifecycle_error.reset();
  const auto keep = [&](Status loaded) {  // an optional feature: told by features()
    if (loaded) return;
    outcome_.lifecycle_error = loaded.error().message();
    lifecycle_.reset();
  };
  using Shared = std::optional<SharedMaps>;
  std::promise<Shared> promised;
  const auto shared_maps = [&] { return lifecycle_ ? Shared(lifecycle_->shared_maps()) : std::nullopt; };
  ProgramLoader loader;  // gone before the descriptors that it was given
  const bool first = !open_pin(layout_.map("pod_slots"));
  std::future<Result<CgroupPrograms>> loading;
  if (first)
    loading = loader.aside([&, shared = promised.get_future()]() mutable { return load_set(loader, [&] { return shared.get(); }); });
  if (auto lifecycle = LifecyclePrograms::load(layout_, options_.sizes, loader))
    lifecycle_ = std::move(*lifecycle);
  else
    keep(std::unexpected(std::move(lifecycle).error()));
  promised.set_value(shared_maps());
  const auto finished = lifecycle_ ? lifecycle_->finish(layout_, loader) : Status();
  if (!first) keep(finished);
  auto programs = first ? loader.wait(std::move(loading)) : load_set(loader, shared_maps);
  loader.dismiss();
  keep(finished);  // not before: its maps are those of the set
  if (!programs) {
    outcome_.cgroup_error = programs.error().message();
    return std::unexpected(std::move(programs).error());
  }
  outcome_.cgroup_error.reset();
  programs_ = std::move(*programs);
  if (lifecycle_) PINTLE_TRY(lifecycle_->commit(layout_));
  return {};
}

// The set wanted; if that can't be had, the one of an earlier run as it is pinned, or the one compiled in.
Result<CgroupPrograms> LibbpfAttacher::load_set(ProgramLoader& loader, const std::function<std::optional<SharedMaps>()>& shared_maps) {
  const auto record = read_set_record(layout_.set());
  const std::string wanted = record && options_.keep_set ? record->name : options_.set;
  auto object = SetObject::find(options_.sets_folder, wanted);
  if (object && !record) object->read_ahead();
  const auto shared = shared_maps();
  auto loaded = object ? CgroupPrograms::load(layout_, options_.sizes, shared, *object, loader) : std::unexpected(object.error());
  if (loaded) return loaded;
  note_failed_set(wanted, object ? object->version() : "", object ? object->id() : 0, loaded.error(), SwitchStep::kRefused);
  if (auto pinned = CgroupPrograms::adopt(layout_, options_.sizes, shared)) return pinned;
  if (wanted == model::kBuiltinSet) return loaded;
  return CgroupPrograms::load(layout_, options_.sizes, shared, SetObject::builtin(), loader);
}

// Finds which slots are in use by the pods that have pins; everything else is free.
Status LibbpfAttacher::recover() {
  PINTLE_ASSIGN_OR_RETURN(const auto names, list_pins(layout_.pods()));
  for (const auto& name : names) {
    if (name.starts_with(kPendingPrefix)) {
      (void)remove_pin_folder(layout_.pods() + "/" + name);  // ignoring: removed again before its name is next used
      continue;
    }
    recover_pod(PodUid(name));
  }
  const MutexLock lock(mu_);
  recover_kubepods();
  if (!lifecycle_) return {};
  std::set<CgroupId> known;
  for (const auto& [uid, record] : pods_)
    if (slots_->find(uid)) known.insert(record.cgroup_id);
  for (const auto id : lifecycle_->list_pods())
    if (!known.contains(id)) (void)lifecycle_->remove_pod(id);  // ignoring: a stale row counts for a slot that is zeroed when assigned
  return {};
}

// Rows of pods that have ended meanwhile.
void LibbpfAttacher::recover_kubepods() {
  if (!kubepods_) return;
  std::set<CgroupId> known;
  for (const auto& [uid, record] : pods_) known.insert(record.cgroup_id);
  for (const auto id : kubepods_->list_pods())
    if (!known.contains(id)) (void)kubepods_->remove(id);  // ignoring: an old row counts for a slot that says that nothing is counted there
}

Status LibbpfAttacher::attach_kubepods(const std::string& kubepods) {
  if (unsupported_) return std::unexpected(*unsupported_);
  if (kubepods_error_) return std::unexpected(*kubepods_error_);
  PINTLE_ASSIGN_OR_RETURN(const auto dir, DirFd::open(kubepods));
  const MutexLock lock(mu_);
  return kubepods_->attach(dir, kubepods);
}

Status LibbpfAttacher::add_kubepods_class(const std::string& directory) {
  if (!kubepods_) return {};
  struct stat st{};
  if (::stat(directory.c_str(), &st) != 0) return fail_errno(errno, fmt::format("stat '{}'", directory));
  const MutexLock lock(mu_);
  return kubepods_->add_class(CgroupId(st.st_ino));
}

// Whether kubepods' programs count for the slot from now on; else the pod's own do already. The word comes before the row: whoever finds
// the row finds the word.
bool LibbpfAttacher::count_on_kubepods(CgroupId cgroup, CgroupId before, uint32_t slot, const pintle_control& control,
                                       std::vector<std::string>& notes) {
  const MutexLock lock(mu_);
  if (!kubepods_) return false;
  if (!before.empty() && before != cgroup) (void)kubepods_->remove(before);  // ignoring: as in recover_kubepods()
  const bool counting = programs_->find_slot(cgroup) == slot;
  if (!counting) slots_->set_control(slot, {control.policy, control.flags | PINTLE_KUBEPODS_COUNTS});
  const auto told = kubepods_->add_pod(cgroup, slot);
  if (!told)
    notes.push_back(fmt::format("its packets are counted by its own hooks alone, not from the first one on: {}", told.error().message()));
  if (!told && !counting) slots_->set_control(slot, control);
  return told && !counting;
}

void LibbpfAttacher::take_early(CgroupId cgroup, uint32_t slot) {
  const MutexLock lock(mu_);
  if (!kubepods_) return;
  if (const auto early = kubepods_->take_early(cgroup)) slots_->add(slot, early->tcp, early->udp, early->other);
}

void LibbpfAttacher::recover_pod(const PodUid& uid) {
  PodRecord record;
  std::optional<uint32_t> slot;
  for (const auto hook : model::kAllHooks) {
    const auto link = BpfLink::open(hook_pin(layout_.pod(uid), hook));
    if (!link) continue;
    const auto info = link->info();
    if (!info || info->cgroup_id.empty()) continue;
    record.cgroup_id = info->cgroup_id;
    slot = programs_->find_slot(info->cgroup_id);
    if (slot) break;
  }
  if (slot) (void)slots_->restore(uid, record.cgroup_id, *slot);  // false: the slot is another pod's; attach() gives a new one
  const MutexLock lock(mu_);
  pods_.emplace(uid, std::move(record));
}

// `before`: the cgroup that the pod had, whose row must not outlive it.
Status LibbpfAttacher::watch_lifecycle(const ports::PodCgroup& cgroup, CgroupId before, uint32_t slot) {
  const MutexLock lock(mu_);
  if (!lifecycle_) return {};
  if (!before.empty() && before != cgroup.id) PINTLE_TRY(lifecycle_->remove_pod(before));
  if (lifecycle_->find_pod(cgroup.id) == slot) return {};  // as an earlier run left it: its level is known too
  PINTLE_ASSIGN_OR_RETURN(const auto depth, cgroup_depth(*cgroup.dir));
  return lifecycle_->add_pod(cgroup.id, slot, depth);
}

Result<model::AttachReport> LibbpfAttacher::attach(const ports::PodIdentity& pod, const ports::PodCgroup& cgroup,
                                                   const model::ProgramPlan& plan) {
  if (unsupported_) return std::unexpected(*unsupported_);
  PINTLE_TRY(check_pod_uid(pod.uid));
  if (cgroup.dir == nullptr || !cgroup.dir->valid())
    return fail(Code::kUnsupported, fmt::format("attach to pod '{}': this host has no cgroup v2 hierarchy", pod.uid.value()));
  PodRecord record;
  {
    const MutexLock lock(mu_);
    if (const auto it = pods_.find(pod.uid); it != pods_.end()) record = it->second;
  }
  const CgroupId before = record.cgroup_id;
  record.cgroup_id = cgroup.id;
  record.cgroup_path = cgroup.path;
  record.refused.clear();

  PINTLE_ASSIGN_OR_RETURN(const auto slot, slots_->assign(pod.uid, cgroup.id));
  PINTLE_TRY(guards_->set(slot, plan.denied_devices, plan.denied_sockopts));
  const auto control = control_of(plan);
  // Beside a kubelet packets have come already. Who counts them is one word, so that none is counted twice.
  model::AttachReport report{pod.uid, cgroup.id, cgroup.path, {}};
  const bool on_kubepods = count_on_kubepods(cgroup.id, before, slot, control, report.notes);
  if (!on_kubepods) slots_->set_control(slot, control);
  if (const auto watched = watch_lifecycle(cgroup, before, slot); !watched)
    report.notes.push_back(fmt::format("its exec, exit and OOM events are not seen: {}", watched.error().message()));
  record.notes = report.notes;

  watch_links(pod.uid, false);
  auto hooks = attach_hooks(pod.uid, cgroup, slot, plan.hooks, record);
  watch_links(pod.uid, true);
  PINTLE_ASSIGN_OR_RETURN(report.hooks, std::move(hooks));
  slots_->moved_over(slot);
  if (on_kubepods) {
    const auto counts = [&](Hook hook) {
      const auto status = std::ranges::find(report.hooks, hook, &HookStatus::hook);
      return status != report.hooks.end() && status->state != HookState::kRefused;
    };
    if (counts(Hook::kIngress) && counts(Hook::kEgress)) slots_->set_control(slot, control);
    take_early(cgroup.id, slot);
  }
  PINTLE_ASSIGN_OR_RETURN(report.programs, pod_programs_->attach(pod.uid, cgroup, plan));
  PINTLE_TRY(old_schemas_.drop_pod(pod.uid));
  const MutexLock lock(mu_);
  pods_[pod.uid] = std::move(record);
  return report;
}

// Again when another set was put in force meanwhile: whoever did that can't have seen the links of a pod that was being made.
Result<std::vector<HookStatus>> LibbpfAttacher::attach_hooks(const PodUid& uid, const ports::PodCgroup& cgroup, uint32_t slot,
                                                             const std::vector<Hook>& wanted, PodRecord& record) {
  for (;;) {
    bool outdated = false;
    auto statuses = attach_hooks_once(uid, cgroup, slot, wanted, record, outdated);
    if (!statuses || !outdated) return statuses;
    record.refused.clear();
  }
}

Result<std::vector<HookStatus>> LibbpfAttacher::attach_hooks_once(const PodUid& uid, const ports::PodCgroup& cgroup, uint32_t slot,
                                                                  const std::vector<Hook>& wanted, PodRecord& record, bool& outdated) {
  const std::string folder = layout_.pod(uid);
  struct stat st{};
  const bool existed = ::stat(folder.c_str(), &st) == 0;
  PendingPins pending;
  if (!existed) {
    PINTLE_ASSIGN_OR_RETURN(pending, PendingPins::create(layout_.pending_pod(uid)));
  }
  PodLinks links(*programs_, cgroup, existed ? folder : pending.path(), existed, record);
  std::vector<HookStatus> statuses;
  std::vector<Hook> in_force;
  for (const auto hook : model::kAllHooks) {
    if (std::ranges::find(wanted, hook) == wanted.end()) continue;
    PINTLE_ASSIGN_OR_RETURN(auto status, links.ensure(hook));
    if (status.state == HookState::kRefused) {
      record.refused.push_back(status);
    } else {
      // With the first link the cgroup has its storage: before the next hook, which may be one that decides.
      if (in_force.empty()) PINTLE_TRY(programs_->set_slot(cgroup.id, slot));
      in_force.push_back(hook);
    }
    statuses.push_back(std::move(status));
  }
  PINTLE_TRY(links.drop_others(in_force));
  if (!existed && !in_force.empty()) PINTLE_TRY(pending.commit(folder));  // nothing pinned: the pending folder goes
  outdated = links.outdated();
  return statuses;
}

Status LibbpfAttacher::detach(const PodUid& uid) {
  if (unsupported_) return {};
  PINTLE_TRY(check_pod_uid(uid));
  watch_links(uid, false);
  const std::string folder = layout_.pod(uid);
  const auto pins = list_pins(folder);
  for (const auto& name : pins.value_or(std::vector<std::string>())) PINTLE_TRY(detach_pinned(fmt::format("{}/{}", folder, name)));
  PINTLE_TRY(remove_pin_folder(folder));
  pod_programs_->forget(uid);
  PINTLE_TRY(old_schemas_.drop_pod(uid));
  if (const auto slot = slots_->find(uid)) PINTLE_TRY(guards_->clear(*slot));
  slots_->release(uid);
  const MutexLock lock(mu_);
  const auto it = pods_.find(uid);
  if (it == pods_.end()) return {};
  if (kubepods_) (void)kubepods_->remove(it->second.cgroup_id);  // ignoring: as in recover_kubepods()
  if (lifecycle_ && !it->second.cgroup_id.empty()) (void)lifecycle_->remove_pod(it->second.cgroup_id);  // ignoring: as in recover()
  pods_.erase(it);
  return {};
}

Result<std::vector<PodUid>> LibbpfAttacher::list_pinned() {
  if (unsupported_) return std::vector<PodUid>();
  PINTLE_ASSIGN_OR_RETURN(const auto names, list_pins(layout_.pods()));
  std::set<PodUid> uids;
  for (const auto& name : names)
    if (!name.starts_with(kPendingPrefix)) uids.emplace(name);
  for (const auto& uid : old_schemas_.list_pods()) uids.insert(uid);
  return std::vector<PodUid>(uids.begin(), uids.end());
}

Result<model::AttachReport> LibbpfAttacher::inspect(const PodUid& uid) {
  if (unsupported_) return std::unexpected(*unsupported_);
  PINTLE_TRY(check_pod_uid(uid));
  PodRecord record;
  std::vector<uint32_t> also_ours;
  {
    const MutexLock lock(mu_);
    if (kubepods_) also_ours = kubepods_->program_ids();
    const auto it = pods_.find(uid);
    if (it == pods_.end()) return fail(Code::kNotFound, fmt::format("nothing is attached to pod '{}'", uid.value()));
    record = it->second;
  }
  const auto counters = slots_->counters(uid);
  const auto above = also_ours;
  for (const auto id : pod_programs_->program_ids(uid)) also_ours.push_back(id);
  model::AttachReport report{uid, record.cgroup_id, record.cgroup_path, {}};
  for (const auto hook : model::kAllHooks) {
    const auto refused = std::ranges::find(record.refused, hook, &HookStatus::hook);
    auto status = refused != record.refused.end() ? *refused : inspect_link(*programs_, layout_.pod(uid), record, hook, clock_, also_ours);
    if (status.state == HookState::kOff) continue;
    if (counters) add_uses(status, *counters);
    report.hooks.push_back(std::move(status));
  }
  report.programs = pod_programs_->inspect(uid, clock_, above);
  report.notes = record.notes;
  return report;
}

Result<model::PodCounters> LibbpfAttacher::counters(const PodUid& uid) {
  if (unsupported_) return std::unexpected(*unsupported_);
  return slots_->counters(uid);
}

std::optional<PodPlace> LibbpfAttacher::place_of(const PodUid& uid) {
  const MutexLock lock(mu_);
  const auto it = pods_.find(uid);
  return it == pods_.end() ? std::nullopt : std::optional(PodPlace{it->second.cgroup_id, it->second.cgroup_path});
}

SetSwitch::Outcome LibbpfAttacher::run_switch(const ProgramSetPtr& next) {
  std::optional<Canary> canary;
  const auto check = [&](const ProgramSet& set, bool first) -> Status {
    if (options_.canary_parent.empty()) {
      PINTLE_TRY(Canary::test_run(set, *programs_));
    } else {
      if (!canary) {
        PINTLE_ASSIGN_OR_RETURN(auto made, Canary::create(options_.canary_parent, *programs_, *slots_, clock_));
        canary.emplace(std::move(made));
      }
      PINTLE_TRY(canary->check(set));
    }
    return options_.more_checks_for_test ? options_.more_checks_for_test(set, first) : Status();
  };
  return SetSwitch({layout_, *programs_, [this](const PodUid& uid) { return place_of(uid); }, check, clock_}).run(next);
}

// Of the links that can't be moved now, the first.
std::vector<Error> LibbpfAttacher::move_pods() {
  SetSwitch sweep({layout_, *programs_, [this](const PodUid& uid) { return place_of(uid); }, {}, clock_});
  auto moved = sweep.move_pods(programs_->current());
  if (moved) return {};
  return {with_context(std::move(moved).error(), fmt::format("move pods to program set {}", programs_->current()->describe()))};
}

void LibbpfAttacher::note_leftovers(const std::vector<Error>& errors) {
  const MutexLock lock(mu_);
  std::ranges::move(told(errors), std::back_inserter(set_status_.leftovers));
}

// What an earlier switch or start could not put in order.
void LibbpfAttacher::mend_leftovers() {
  {
    const MutexLock lock(mu_);
    if (set_status_.leftovers.empty()) return;
  }
  auto errors = recover_set_folders(layout_).leftovers;
  std::ranges::move(move_pods(), std::back_inserter(errors));
  const MutexLock lock(mu_);
  set_status_.leftovers = told(errors);
}

Status LibbpfAttacher::switch_to(const ProgramSetPtr& next) {
  const auto outcome = run_switch(next);
  note_leftovers(outcome.leftovers);
  if (outcome.end != SwitchStep::kInForce) {
    const Error error = outcome.error.value_or(Error{Code::kInternal, 0, "no step failed"});
    note_failed_set(next->name(), next->version(), next->object_id(), error, outcome.end);
    return std::unexpected(error);
  }
  const MutexLock lock(mu_);
  auto leftovers = std::move(set_status_.leftovers);
  set_status_ = {.since = clock_.now(),
                 .switched = set_status_.switched + 1,
                 .rolled_back = set_status_.rolled_back,
                 .leftovers = std::move(leftovers)};
  return {};
}

void LibbpfAttacher::note_failed_set(const std::string& wanted, const std::string& version, uint64_t object, const Error& error,
                                     SwitchStep end) {
  const bool back = end == SwitchStep::kRolledBack;
  const MutexLock lock(mu_);
  set_status_.attempt = back ? model::ProgramSetStatus::Attempt::kRolledBack : model::ProgramSetStatus::Attempt::kRefused;
  set_status_.rolled_back += back ? 1 : 0;
  set_status_.wanted = wanted;
  set_status_.wanted_version = version;
  set_status_.error = error.message();
  failed_set_ = object;
}

// What failed is not loaded again and again while it is wanted: only a changed file, or a start, makes another try.
std::optional<Error> LibbpfAttacher::failed_before(const SetObject& object) {
  const MutexLock lock(mu_);
  if (failed_set_ == 0 || failed_set_ != object.id() || set_status_.wanted != object.name()) return std::nullopt;
  return Error{Code::kInvalid, 0, set_status_.error};
}

Status LibbpfAttacher::use_program_set(const std::string& name) {
  if (unsupported_) return std::unexpected(*unsupported_);
  mend_leftovers();
  const auto object = SetObject::find(options_.sets_folder, name);
  if (!object) {
    note_failed_set(name, "", 0, object.error(), SwitchStep::kRefused);
    return std::unexpected(object.error());
  }
  const auto now = programs_->current();
  if (now->name() == object->name() && now->object_id() == object->id()) {
    const MutexLock lock(mu_);
    set_status_.attempt = model::ProgramSetStatus::Attempt::kNone;
    set_status_.wanted.clear(), set_status_.wanted_version.clear(), set_status_.error.clear();
    failed_set_ = 0;
    return {};
  }
  if (auto failed = failed_before(*object)) return std::unexpected(*std::move(failed));
  const auto next = programs_->load_set(*object);
  if (!next) {
    note_failed_set(name, object->version(), object->id(), next.error(), SwitchStep::kRefused);
    return std::unexpected(next.error());
  }
  return switch_to(*next);
}

model::ProgramSetStatus LibbpfAttacher::program_set() {
  model::ProgramSetStatus status;
  {
    const MutexLock lock(mu_);
    status = set_status_;
  }
  if (unsupported_) return status;
  const auto set = programs_->current();
  status.name = set->name();
  status.version = set->version();
  return status;
}

void LibbpfAttacher::each_counters(const CountersVisitor& visit) {
  if (!unsupported_) slots_->each(visit);
}

std::vector<model::FeatureProbe> LibbpfAttacher::features() { return probe_features(outcome_); }

void LibbpfAttacher::on_event(std::function<void(const model::ProgramEvent&)> observer) {
  if (!unsupported_) events_->observe(std::move(observer));
}

void LibbpfAttacher::on_suspicion(std::function<void(const PodUid&)> observer) {
  if (unsupported_) return;
  std::shared_ptr<LinkWatch> watch;
  if (observer) {
    auto started = LinkWatch::start(std::move(observer));
    if (!started) {
      PINTLE_LOG(kDebug, "bpf", "dead links are found by the audit alone: {}", started.error().message());
      return;
    }
    watch = *std::move(started);
  }
  std::vector<PodUid> uids;
  {
    const MutexLock lock(mu_);
    link_watch_.swap(watch);
    for (const auto& [uid, record] : pods_) uids.push_back(uid);
  }
  watch.reset();  // waits for its last call
  for (const auto& uid : uids) watch_links(uid, true);
  events_->on_cgroup_gone([this](CgroupId cgroup) { cgroup_gone(cgroup); });
}

// Off while the attacher itself takes pins away.
void LibbpfAttacher::watch_links(const PodUid& uid, bool on) {
  std::shared_ptr<LinkWatch> watch;
  {
    const MutexLock lock(mu_);
    watch = link_watch_;
  }
  if (!watch) return;
  if (on)
    watch->add(uid, layout_.pod(uid));
  else
    watch->remove(uid);
}

void LibbpfAttacher::cgroup_gone(CgroupId cgroup) {
  std::shared_ptr<LinkWatch> watch;
  PodUid uid;
  std::string path;
  {
    const MutexLock lock(mu_);
    watch = link_watch_;
    for (const auto& [one, record] : pods_)
      if (record.cgroup_id == cgroup) uid = one, path = record.cgroup_path;
  }
  if (watch && !path.empty()) watch->cgroup_gone(uid, cgroup, std::move(path));
}

uint64_t LibbpfAttacher::events_lost() { return unsupported_ ? 0 : slots_->events_lost(); }

std::vector<RingCount> LibbpfAttacher::ring_counts() {
  if (unsupported_) return {};
  return {{"urgent_events", events_->received(PINTLE_RING_URGENT), slots_->events_lost(PINTLE_RING_URGENT)},
          {"bulk_events", events_->received(PINTLE_RING_BULK), slots_->events_lost(PINTLE_RING_BULK)}};
}

uint32_t LibbpfAttacher::slots_in_use() { return unsupported_ ? 0 : slots_->in_use(); }

}  // namespace pintle::bpf
