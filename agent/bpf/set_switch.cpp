// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/set_switch.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>

#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bpf/effective.h"
#include "bpf/link.h"
#include "bpf/pin.h"
#include "bpf/pod_links.h"

namespace pintle::bpf {
namespace {

Status rename_folder(const std::string& from, const std::string& to) {
  if (std::rename(from.c_str(), to.c_str()) != 0) return fail_errno(errno, fmt::format("rename '{}' to '{}'", from, to));
  return {};
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

}  // namespace

FolderRecovery recover_set_folders(const PinLayout& layout) {
  FolderRecovery out;
  const auto note = [&](Status done) {
    if (!done) out.leftovers.push_back(with_context(std::move(done).error(), "clear up after a switch of program sets"));
  };
  for (const auto& folder : {layout.set(), layout.next_set()}) note(remove_pin_folder(folder + std::string(kNewPinSuffix)));
  const auto plan = recover_sets({exists(layout.set()), exists(layout.next_set()), exists(layout.previous_set())});
  if (plan.move == SetRecovery::Move::kNextToCurrent) note(rename_folder(layout.next_set(), layout.set()));
  if (plan.move == SetRecovery::Move::kPreviousToCurrent) note(rename_folder(layout.previous_set(), layout.set()));
  if (plan.drop_next) note(remove_pin_folder(layout.next_set()));
  if (plan.drop_previous) note(remove_pin_folder(layout.previous_set()));
  out.sweep_pods = plan.sweep_pods;
  return out;
}

SetSwitch::Outcome SetSwitch::run(const ProgramSetPtr& next) {
  const auto before = parts_.programs.current();
  SwitchProgress progress;
  Outcome out;
  while (!is_final(progress.step)) {
    auto done = carry_out(progress.step, before, next, out.leftovers);
    const bool ok = done.has_value();
    if (!ok && out.error) out.leftovers.push_back(std::move(done).error());
    if (!ok && !out.error) out.error = std::move(done).error();
    progress = after(progress, ok);
  }
  out.end = progress.step;
  return out;
}

Status SetSwitch::carry_out(SwitchStep step, const ProgramSetPtr& before, const ProgramSetPtr& next, std::vector<Error>& leftovers) {
  switch (step) {
    case SwitchStep::kCheckNew: return parts_.check(*next, true);
    case SwitchStep::kPinNext: return next->pin(parts_.layout.next_set());
    case SwitchStep::kSwitchPods: parts_.programs.put_in_force(next, before); return move_pods(next);
    case SwitchStep::kCheckSwitched: PINTLE_TRY(check_pods(*next)); return parts_.check(*next, false);
    case SwitchStep::kCommit:
      PINTLE_TRY(commit(leftovers));
      parts_.programs.put_in_force(next);
      return {};
    case SwitchStep::kSwitchBack: {
      parts_.programs.put_in_force(before, next);
      auto moved = move_pods(before);
      parts_.programs.put_in_force(before);
      return moved;
    }
    case SwitchStep::kDropNext: return remove_pin_folder(parts_.layout.next_set());
    default: return {};
  }
}

// One pod after the other, each with all its hooks. One link that can't be moved is no reason to leave the others; the first error is told.
template <typename Act>
Status SetSwitch::for_each_link(Act act) const {
  PINTLE_ASSIGN_OR_RETURN(const auto pods, list_pins(parts_.layout.pods()));
  Status outcome;
  for (const auto& pod : pods) {
    if (pod.starts_with(kPendingPrefix)) continue;
    const PodUid uid(pod);
    for (const auto hook : model::kAllHooks) {
      const std::string pin = hook_pin(parts_.layout.pod(uid), hook);
      if (!exists(pin)) continue;
      if (auto done = act(uid, pin, hook); !done && outcome && exists(parts_.layout.pod(uid)))  // else detached meanwhile
        outcome = std::unexpected(with_context(std::move(done).error(), fmt::format("pod '{}', hook '{}'", pod, model::to_string(hook))));
    }
  }
  return outcome;
}

Status SetSwitch::move_pods(const ProgramSetPtr& to) {
  return for_each_link([&](const PodUid& uid, const std::string& pin, model::Hook hook) { return move_link(uid, pin, hook, *to); });
}

Status SetSwitch::move_link(const PodUid& uid, const std::string& pin, model::Hook hook, const ProgramSet& to) {
  const auto& program = to.program(hook);
  const auto link = BpfLink::open(pin);
  if (!link) return {};  // detached meanwhile
  PINTLE_ASSIGN_OR_RETURN(const auto info, link->info());
  if (info.cgroup_id.empty() || info.program_id == program.info.id) return {};  // dead ones are the audit's
  const auto sets = parts_.programs.known();
  const auto from = std::ranges::find_if(sets, [&](const auto& set) { return set->program(hook).info.id == info.program_id; });
  // A program of neither set is one of an earlier build's, which only its link holds.
  const auto moved = from != sets.end() ? link->replace((*from)->program(hook).fd.get(), program.fd.get(), program.attach_type)
                                        : link->update(program.fd.get(), program.attach_type);
  if (moved || moved.error().sys_errno == ENOLINK) return {};
  if (moved.error().sys_errno != EINVAL) return moved;
  return attach_beside(uid, pin, hook, to);
}

Status SetSwitch::attach_beside(const PodUid& uid, const std::string& pin, model::Hook hook, const ProgramSet& to) {
  const auto place = parts_.place_of(uid);
  if (!place || place->path.empty()) return {};  // attaching the pod does it
  PINTLE_ASSIGN_OR_RETURN(const auto dir, DirFd::open(place->path));
  struct stat st{};
  if (::fstat(dir.get(), &st) != 0 || st.st_ino != place->cgroup_id.value()) return {};  // another cgroup of that path: the audit's
  const auto& program = to.program(hook);
  PINTLE_ASSIGN_OR_RETURN(const auto link, BpfLink::attach_cgroup(program.fd.get(), dir.get(), program.attach_type));
  return link.pin_over(pin);
}

// Links point at the set, and where the pod's cgroup is known the kernel runs it there: attached is not effective.
Status SetSwitch::check_pods(const ProgramSet& set) const {
  return for_each_link([&](const PodUid& uid, const std::string& pin, model::Hook hook) -> Status {
    const auto link = BpfLink::open(pin);
    const auto info = link ? link->info() : Result<LinkInfo>(std::unexpected(link.error()));
    if (!info || info->cgroup_id.empty()) return {};
    const auto wanted = set.program(hook).info.id;
    const auto place = parts_.place_of(uid);
    const bool known = place && !place->path.empty();
    if (info->program_id != wanted)
      return known ? Status(fail(Code::kInvalid, fmt::format("the link runs program {} and not {}", info->program_id, wanted))) : Status();
    const auto dir = known ? DirFd::open(place->path) : Result<DirFd>(fail(Code::kNotFound, ""));
    if (!dir) return {};
    const auto view =
        query_effective({.cgroup = *dir, .path = place->path, .attach_type = attach_type_of(hook), .program_id = wanted}, parts_.clock);
    if (view.answer != EffectiveView::Answer::kTold || view.position != 0) return {};
    const bool overridden =
        std::ranges::any_of(view.neighbours, [](const auto& foreign) { return foreign.exclusive || foreign.overridable; });
    if (overridden) return {};  // was so before, and is told by inspect()
    return fail(Code::kInvalid, fmt::format("the kernel does not run program {} for '{}'", wanted, place->path));
  });
}

Status SetSwitch::commit(std::vector<Error>& leftovers) const {
  const auto& layout = parts_.layout;
  const auto note = [&](Status done) {
    if (!done) leftovers.push_back(std::move(done).error());
  };
  PINTLE_TRY(remove_pin_folder(layout.previous_set()));
  PINTLE_TRY(rename_folder(layout.set(), layout.previous_set()));
  if (auto moved = rename_folder(layout.next_set(), layout.set()); !moved) {
    note(rename_folder(layout.previous_set(), layout.set()));
    return moved;
  }
  note(remove_pin_folder(layout.previous_set()));
  return {};
}

}  // namespace pintle::bpf
