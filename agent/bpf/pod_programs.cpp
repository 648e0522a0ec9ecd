// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Loading, adopting, attaching. Reading back is pod_programs_inspect.cpp's.
#include "bpf/pod_programs.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "base/sha256.h"
#include "bpf/errno_causes.h"
#include "bpf/evidence.h"
#include "bpf/object_info.h"
#include "bpf/pin.h"
#include "bpf/pod_links.h"
#include "bpf/program_hooks.h"
#include "bpf/raw_call.h"

namespace pintle::bpf {

using model::HookState;
using model::PodProgramStatus;
using model::ProgramOrder;

namespace {

constexpr std::string_view kProgramPrefix = "prog_", kMapPrefix = "map_";
constexpr size_t kKeyDigits = 32;

std::string key_of(const model::PodProgram& program, std::string_view object) {
  const auto& type = type_of(program.hook);
  return Sha256()
      .add(fmt::format("{}\n{}\n{}\n", program.program, type.program_type, type.attach_type))
      .add(object)
      .hex()
      .substr(0, kKeyDigits);
}

std::string link_pin(const std::string& folder, const std::string& name) { return fmt::format("{}/{}{}", folder, kOperatorPrefix, name); }

std::string map_pin(const std::string& folder, const std::string& name) { return fmt::format("{}/{}{}", folder, kMapPrefix, name); }

// In place, unless somebody else's program is in the link by now.
bool replace(int link_fd, int program_fd, int old_program_fd) {
  bpf_link_update_opts options{};
  options.sz = sizeof options;
  options.flags = kFlagReplace;
  options.old_prog_fd = static_cast<uint32_t>(old_program_fd);
  return bpf_link_update(link_fd, program_fd, &options) == 0;
}

// Pintle's own on the same hook of this very cgroup, if there is one.
BpfLink own_link(const std::string& folder, CgroupId cgroup, model::ProgramHook hook) {
  const auto same = own_hook(hook);
  if (!same) return {};
  auto link = BpfLink::open(hook_pin(folder, *same));
  if (!link) return {};
  const auto info = link->info();
  return info && info->cgroup_id == cgroup ? std::move(*link) : BpfLink();
}

}  // namespace

// --- loading ---

Result<PodPrograms::Loaded> PodPrograms::adopt(const model::PodProgram& program, const std::string& key) const {
  const auto& type = type_of(program.hook);
  PINTLE_ASSIGN_OR_RETURN(auto fd, open_pin(fmt::format("{}/{}{}", layout_.operator_folder(program.name), kProgramPrefix, key)));
  PINTLE_ASSIGN_OR_RETURN(const auto details, program_details(fd.get()));
  if (details.type != type.program_type) return fail(Code::kNotFound, "the pin is of another type");
  PINTLE_ASSIGN_OR_RETURN(auto info, program_info(fd.get()));
  return Loaded{key, std::move(fd), std::move(info), type.attach_type, true, {}};
}

Result<PodPrograms::Loaded> PodPrograms::load_anew(const model::PodProgram& program, std::string_view object,
                                                   const std::string& key) const {
  const std::string folder = layout_.operator_folder(program.name);
  PINTLE_ASSIGN_OR_RETURN(auto made, load_pod_program(program, object, [&](const std::string& name) {
                            auto fd = open_pin(map_pin(folder, name));
                            return fd ? std::move(*fd) : UniqueFd();
                          }));
  PINTLE_TRY(make_pin_folder(folder));
  std::set<std::string> kept;
  for (const auto& map : made.named_maps) {
    const std::string pin = map_pin(folder, map.name);
    kept.insert(std::string(kMapPrefix) + map.name);
    if (map.found) continue;
    PINTLE_TRY(unpin(pin));
    PINTLE_TRY(pin_fd(map.fd.get(), pin));
  }
  PINTLE_TRY(pin_fd(made.program.get(), fmt::format("{}/{}{}", folder, kProgramPrefix, key)));
  PINTLE_ASSIGN_OR_RETURN(const auto names, list_pins(folder));
  for (const auto& name : names)
    if (name.starts_with(kMapPrefix) && !kept.contains(name)) PINTLE_TRY(unpin(folder + "/" + name));
  return Loaded{key, std::move(made.program), std::move(made.info), type_of(program.hook).attach_type, false, {}};
}

void PodPrograms::settle(const std::string& name, Loaded fresh) {
  if (const auto before = loaded_.find(name); before != loaded_.end()) fresh.replaced = std::move(before->second.replaced);
  // Other versions, also of an earlier run: links that still run them say so when they are replaced.
  const std::string folder = layout_.operator_folder(name), own = std::string(kProgramPrefix) + fresh.key;
  for (const auto& pin : list_pins(folder).value_or(std::vector<std::string>())) {
    if (!pin.starts_with(kProgramPrefix) || pin == own) continue;
    if (auto fd = open_pin(folder + "/" + pin))
      if (const auto info = program_info(fd->get())) fresh.replaced.insert_or_assign(info->id, std::move(*fd));
    (void)unpin(folder + "/" + pin);  // ignoring: tried again with the next version
  }
  release_replaced(name, loaded_.insert_or_assign(name, std::move(fresh)).first->second);
}

// A version that no link runs any more goes, with its maps.
void PodPrograms::release_replaced(const std::string& name, Loaded& loaded) const {
  if (loaded.replaced.empty()) return;
  std::set<uint32_t> running;
  for (const auto& pod : list_pins(layout_.pods()).value_or(std::vector<std::string>()))
    if (const auto link = BpfLink::open(link_pin(layout_.pods() + "/" + pod, name)))
      if (const auto info = link->info()) running.insert(info->program_id);
  std::erase_if(loaded.replaced, [&](const auto& version) { return !running.contains(version.first); });
}

Result<ports::LoadedPodProgram> PodPrograms::load(const model::PodProgram& program, std::string_view object) {
  const std::string key = key_of(program, object);
  const auto told = [](const Loaded& loaded) { return ports::LoadedPodProgram{loaded.info.id, loaded.info.tag, loaded.adopted}; };
  {
    const MutexLock lock(mu_);
    if (const auto known = loaded_.find(program.name); known != loaded_.end() && known->second.key == key) return told(known->second);
  }
  auto fresh = adopt(program, key);
  if (!fresh) fresh = load_anew(program, object, key);
  if (!fresh) return std::unexpected(std::move(fresh).error());
  const auto answer = told(*fresh);
  const MutexLock lock(mu_);
  settle(program.name, *std::move(fresh));
  return answer;
}

Status PodPrograms::unload(const std::string& name) {
  const MutexLock lock(mu_);
  loaded_.erase(name);  // first: no attach brings it back
  for (const auto& pod : list_pins(layout_.pods()).value_or(std::vector<std::string>()))
    PINTLE_TRY(detach_pinned(link_pin(layout_.pods() + "/" + pod, name)));
  for (auto& [uid, record] : pods_) {
    std::erase_if(record.rows, [&](const auto& row) { return row.name == name; });
    record.made_here.erase(name);
  }
  return remove_pin_folder(layout_.operator_folder(name));
}

Result<std::vector<std::string>> PodPrograms::list_loaded() {
  std::set<std::string> names;
  PINTLE_ASSIGN_OR_RETURN(const auto folders, list_pins(layout_.operators()));
  names.insert(folders.begin(), folders.end());
  for (const auto& pod : list_pins(layout_.pods()).value_or(std::vector<std::string>()))
    for (const auto& pin : list_pins(layout_.pods() + "/" + pod).value_or(std::vector<std::string>()))
      if (pin.starts_with(kOperatorPrefix)) names.insert(pin.substr(kOperatorPrefix.size()));
  return std::vector<std::string>(names.begin(), names.end());
}

// --- attaching ---

Result<std::vector<PodProgramStatus>> PodPrograms::attach(const PodUid& uid, const ports::PodCgroup& cgroup,
                                                          const model::ProgramPlan& plan) {
  const MutexLock lock(mu_);
  const bool known = pods_.contains(uid);
  Record& record = pods_[uid];
  if (known && record.rows.empty() && plan.programs.empty()) return std::vector<PodProgramStatus>();
  record.cgroup_id = cgroup.id;
  record.cgroup_path = cgroup.path;
  Pod pod{uid, cgroup, layout_.pod(uid), record};
  if (!plan.programs.empty()) PINTLE_TRY(make_pin_folder(pod.folder));
  std::vector<PodProgramStatus> rows;
  for (const auto& wanted : plan.programs) {
    PINTLE_ASSIGN_OR_RETURN(auto status, ensure(pod, wanted));
    rows.push_back(std::move(status));
  }
  PINTLE_TRY(drop_others(pod, plan));
  for (const auto& wanted : plan.programs)
    if (const auto loaded = loaded_.find(wanted.name); loaded != loaded_.end()) release_replaced(wanted.name, loaded->second);
  record.rows = rows;
  return rows;
}

Result<PodProgramStatus> PodPrograms::ensure(Pod& pod, const model::PlannedProgram& wanted) {
  PodProgramStatus status;
  status.name = wanted.name;
  status.hook = wanted.hook;
  status.order = wanted.order;
  status.required = wanted.required;
  const auto loaded = loaded_.find(wanted.name);
  if (wanted.program_id != 0 && loaded != loaded_.end()) {
    PINTLE_ASSIGN_OR_RETURN(const bool kept, keep(pod, wanted, loaded->second, status));
    if (!kept) PINTLE_TRY(attach_new(pod, wanted, loaded->second, status));
    return status;
  }
  // Not loaded: what an earlier version left in force stays.
  status.error = wanted.error.empty() ? fmt::format("program '{}' is not loaded any more", wanted.name) : wanted.error;
  const auto link = BpfLink::open(link_pin(pod.folder, wanted.name));
  const auto info = link ? link->info() : Result<LinkInfo>(std::unexpected(link.error()));
  if (info && info->cgroup_id == pod.cgroup.id) {
    status.state = pod.record.made_here.contains(wanted.name) ? HookState::kAttached : HookState::kAdopted;
    status.link_id = info->id;
    status.program_id = info->program_id;
    status.note = "an earlier version stays in force";
    return status;
  }
  PINTLE_TRY(detach_pinned(link_pin(pod.folder, wanted.name)));
  pod.record.made_here.erase(wanted.name);
  status.state = HookState::kRefused;
  return status;
}

// Whether the pinned link can stay, with the newest version in it.
Result<bool> PodPrograms::keep(const Pod& pod, const model::PlannedProgram& wanted, const Loaded& loaded, PodProgramStatus& status) {
  const auto link = BpfLink::open(link_pin(pod.folder, wanted.name));
  if (!link) return false;
  const auto info = link->info();
  // Dead, of a cgroup made anew, or of another hook: the kernel would take a program of the wrong hook.
  if (!info || info->cgroup_id != pod.cgroup.id || info->attach_type != loaded.attach_type) return false;
  if (info->program_id != loaded.info.id) {
    const auto old = loaded.replaced.find(info->program_id);
    if (old == loaded.replaced.end() || !replace(link->fd(), loaded.fd.get(), old->second.get())) return false;
  }
  if (!in_order(pod, wanted, loaded.info.id)) return false;
  if (wanted.order == ProgramOrder::kBefore && no_order_) status.note = "this kernel takes no order (needs 6.17): it was appended";
  status.state = pod.record.made_here.contains(wanted.name) ? HookState::kAttached : HookState::kAdopted;
  status.link_id = info->id;
  status.program_id = loaded.info.id;
  status.program_tag = loaded.info.tag;
  return true;
}

// In force before the old link goes.
Status PodPrograms::attach_new(Pod& pod, const model::PlannedProgram& wanted, const Loaded& loaded, PodProgramStatus& status) {
  status.program_id = loaded.info.id;
  status.program_tag = loaded.info.tag;
  const bool hoped = !no_order_;
  auto fd = make_link(pod, loaded, status);
  if (!fd) {
    const auto hook = to_string(status.hook);
    const auto why = explain_attach(fd.error().sys_errno, hook,
                                    gather_evidence(*pod.cgroup.dir, pod.cgroup.path, loaded.attach_type,
                                                    {.program_fd = loaded.fd.get(), .program_attach_type = loaded.attach_type}));
    status.state = HookState::kRefused;
    status.sys_errno = fd.error().sys_errno;
    status.error =
        fmt::format("attach program '{}' ({}) to '{}': {}: {}", status.name, hook, pod.cgroup.path, fd.error().message(), why.text);
    return {};
  }
  if (hoped && no_order_) {  // now known: an appended link of an earlier run is as good as this one, and keeps its id
    PINTLE_ASSIGN_OR_RETURN(const bool kept, keep(pod, wanted, loaded, status));
    if (kept) return {};
  }
  const std::string pin = link_pin(pod.folder, status.name);
  PINTLE_TRY(detach_pinned(pin));
  PINTLE_TRY(pin_fd(fd->get(), pin));
  bpf_link_info raw{};
  uint32_t size = sizeof raw;
  if (bpf_link_get_info_by_fd(fd->get(), &raw, &size) != 0) return fail_errno(errno, "read link");
  pod.record.made_here.insert(status.name);
  status.link_id = LinkId(raw.id);
  status.state = HookState::kAttached;
  return {};
}

Result<UniqueFd> PodPrograms::make_link(const Pod& pod, const Loaded& loaded, PodProgramStatus& status) {
  LinkRequest request{.program_fd = loaded.fd.get(), .cgroup_fd = pod.cgroup.dir->get(), .attach_type = loaded.attach_type};
  if (status.order != ProgramOrder::kBefore) return create_cgroup_link(request);  // appended: after what is there
  if (!no_order_) {
    // Without a link of Pintle's on this hook it is the first of all, and so before one that comes.
    const auto own = own_link(pod.folder, pod.cgroup.id, status.hook);
    request.flags = own.valid() ? kFlagBefore | kFlagLink : kFlagBefore;
    request.relative = own.valid() ? static_cast<uint32_t>(own.fd()) : 0;
    auto made = create_cgroup_link(request);
    if (made || made.error().sys_errno != EINVAL) return made;
  }
  request.flags = request.relative = 0;
  auto made = create_cgroup_link(request);
  if (made) {
    no_order_ = true;
    status.note = "this kernel takes no order (needs 6.17): it was appended";
  }
  return made;
}

// Pintle's own link may have come or been made anew since. A question that can't be asked is no reason to attach again.
bool PodPrograms::in_order(const Pod& pod, const model::PlannedProgram& wanted, uint32_t program_id) const {
  if (wanted.order == ProgramOrder::kAny || (wanted.order == ProgramOrder::kBefore && no_order_)) return true;
  const auto same = own_hook(wanted.hook);
  if (!same) return true;
  const auto there = query_cgroup(pod.cgroup.dir->get(), type_of(wanted.hook).attach_type, QueryScope::kOwn);
  if (!there) return true;
  auto ours = there->ids.end();
  for (const auto& set : own_.known())  // a pod may still have the set that leaves
    if (ours == there->ids.end()) ours = std::ranges::find(there->ids, set->program(*same).info.id);
  const auto its = std::ranges::find(there->ids, program_id);
  if (ours == there->ids.end() || its == there->ids.end()) return true;
  return wanted.order == ProgramOrder::kBefore ? its < ours : ours < its;
}

Status PodPrograms::drop_others(Pod& pod, const model::ProgramPlan& plan) {
  if (!plan.all_programs_known) return {};
  for (const auto& pin : list_pins(pod.folder).value_or(std::vector<std::string>())) {
    if (!pin.starts_with(kOperatorPrefix)) continue;
    const std::string name = pin.substr(kOperatorPrefix.size());
    if (std::ranges::find(plan.programs, name, &model::PlannedProgram::name) != plan.programs.end()) continue;
    PINTLE_TRY(detach_pinned(pod.folder + "/" + pin));
    pod.record.made_here.erase(name);
  }
  return {};
}

void PodPrograms::forget(const PodUid& uid) {
  const MutexLock lock(mu_);
  pods_.erase(uid);
}

}  // namespace pintle::bpf
