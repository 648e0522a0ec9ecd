// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/pod_links.h"

#include <algorithm>
#include <ranges>

#include <sys/stat.h>

#include <fmt/format.h>

#include "bpf/effective.h"
#include "bpf/errno_causes.h"
#include "bpf/evidence.h"
#include "bpf/pin.h"

namespace pintle::bpf {

using model::Hook;
using model::HookState;
using model::HookStatus;

namespace {

HookStatus status_of(Hook hook, HookState state, LinkId link, const ProgramSet& set) {
  const auto& program = set.program(hook);
  HookStatus status;
  status.hook = hook;
  status.state = state;
  status.link_id = link;
  status.program_id = program.info.id;
  status.program_tag = program.info.tag;
  status.program_set = set.name();
  return status;
}

// Whose program the link runs; the one in force if it is nobody's.
ProgramSetPtr set_of(const std::vector<ProgramSetPtr>& sets, Hook hook, uint32_t program_id) {
  const auto found = std::ranges::find_if(sets, [&](const auto& set) { return set->program(hook).info.id == program_id; });
  return found == sets.end() ? sets.front() : *found;
}

}  // namespace

std::string hook_pin(const std::string& folder, Hook hook) { return folder + "/" + std::string(model::to_string(hook)); }

// The hook's live pin, with the program brought up to date; nullopt: there is none that can stay.
std::optional<HookStatus> PodLinks::keep_pinned(Hook hook) const {
  if (!existed_) return std::nullopt;
  const auto link = BpfLink::open(hook_pin(folder_, hook));
  if (!link) return std::nullopt;
  const auto info = link->info();
  const auto& program = set_->program(hook);
  // Dead, or of a cgroup that was made anew.
  if (!info || info->cgroup_id != cgroup_.id) return std::nullopt;
  if (info->program_id != program.info.id) {
    if (!programs_.slots_carry_over()) return std::nullopt;  // its slot's number says nothing in our array
    if (!link->update(program.fd.get(), program.attach_type)) return std::nullopt;
  } else if (info->attach_type != program.attach_type) {
    return std::nullopt;
  }
  return status_of(hook, record_.made_here.contains(hook) ? HookState::kAttached : HookState::kAdopted, info->id, *set_);
}

Result<HookStatus> PodLinks::ensure(Hook hook) {
  if (auto kept = keep_pinned(hook)) return *kept;
  const auto& program = set_->program(hook);
  auto link = BpfLink::attach_cgroup(program.fd.get(), cgroup_.dir->get(), program.attach_type);
  if (!link) {
    record_.made_here.erase(hook);
    return refusal(hook, link.error());
  }
  PINTLE_ASSIGN_OR_RETURN(const auto info, link->info());
  const std::string pin = hook_pin(folder_, hook);
  PINTLE_TRY(existed_ ? link->pin_over(pin) : link->pin(pin));  // the old one is dead, counts for nobody, or could not be updated
  record_.made_here.insert(hook);
  return status_of(hook, HookState::kAttached, info.id, *set_);
}

Status PodLinks::drop_others(const std::vector<Hook>& wanted) {
  const auto there = existed_ ? list_pins(folder_).value_or(std::vector<std::string>()) : std::vector<std::string>();
  for (const auto hook : model::kAllHooks | std::views::reverse) {
    if (std::ranges::find(wanted, hook) != wanted.end()) continue;
    if (std::ranges::find(there, model::to_string(hook)) != there.end()) PINTLE_TRY(detach_pinned(hook_pin(folder_, hook)));
    record_.made_here.erase(hook);
  }
  for (const auto& name : there)
    if (name.ends_with(kNewPinSuffix)) PINTLE_TRY(detach_pinned(folder_ + "/" + name));  // a crash left it
  return {};
}

HookStatus PodLinks::refusal(Hook hook, const Error& error) const {
  const auto evidence = gather_evidence(*cgroup_.dir, cgroup_.path, attach_type_of(hook),
                                        {.program_fd = set_->program(hook).fd.get(), .program_attach_type = attach_type_of(hook)});
  const auto why = explain_attach(error.sys_errno, hook, evidence);
  auto status = status_of(hook, HookState::kRefused, LinkId(), *set_);
  if (evidence.foreign) status.neighbours.push_back(*evidence.foreign);
  status.sys_errno = error.sys_errno;
  status.error = fmt::format("attach '{}' to '{}': {}: {}", model::to_string(hook), cgroup_.path, error.message(), why.text);
  return status;
}

HookStatus inspect_link(const CgroupPrograms& programs, const std::string& folder, const PodRecord& record, Hook hook, const Clock& clock,
                        std::vector<uint32_t> also_ours) {
  HookStatus status;
  status.hook = hook;
  const auto link = BpfLink::open(hook_pin(folder, hook));
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
  const auto sets = programs.known();
  const auto set = set_of(sets, hook, info->program_id);
  if (info->program_id == set->program(hook).info.id) {
    status.program_tag = set->program(hook).info.tag;
    status.program_set = set->name();
  }
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
  // Its path is known once this run has attached; what lies there now is the very cgroup, as compared above.
  if (const auto dir = DirFd::open(record.cgroup_path); dir && !record.cgroup_path.empty()) {
    for (const auto& one : sets)
      for (const auto other : model::kAllHooks) also_ours.push_back(one->program(other).info.id);
    add_effective(status,
                  {.cgroup = *dir,
                   .path = record.cgroup_path,
                   .attach_type = attach_type_of(hook),
                   .program_id = set->program(hook).info.id,
                   .also_ours = also_ours},
                  info->program_id, clock);
  }
  return status;
}

}  // namespace pintle::bpf
