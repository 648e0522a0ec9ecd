// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The half of pod_programs.h that reads back what is in force.
#include <algorithm>

#include <sys/stat.h>

#include <fmt/format.h>

#include "bpf/effective.h"
#include "bpf/pin.h"
#include "bpf/pod_programs.h"
#include "bpf/program_hooks.h"

namespace pintle::bpf {

using model::HookState;
using model::PodProgramStatus;

std::vector<uint32_t> PodPrograms::ids(const std::string& folder) const {
  std::vector<uint32_t> out;
  for (const auto& [name, loaded] : loaded_) {
    out.push_back(loaded.info.id);
    for (const auto& [id, fd] : loaded.replaced) out.push_back(id);
  }
  for (const auto& pin : list_pins(folder).value_or(std::vector<std::string>())) {
    if (!pin.starts_with(kOperatorPrefix)) continue;
    const auto link = BpfLink::open(folder + "/" + pin);
    if (!link) continue;
    if (const auto info = link->info()) out.push_back(info->program_id);
  }
  return out;
}

std::vector<uint32_t> PodPrograms::program_ids(const PodUid& uid) {
  const MutexLock lock(mu_);
  return ids(layout_.pod(uid));
}

std::vector<PodProgramStatus> PodPrograms::inspect(const PodUid& uid, const Clock& clock, std::vector<uint32_t> also_ours) {
  const MutexLock lock(mu_);
  const std::string folder = layout_.pod(uid);
  const auto known = pods_.find(uid);
  const Record record = known != pods_.end() ? known->second : Record();
  std::vector<PodProgramStatus> rows = record.rows;
  // What an earlier run left, or a source that has not told yet names.
  for (const auto& pin : list_pins(folder).value_or(std::vector<std::string>())) {
    if (!pin.starts_with(kOperatorPrefix)) continue;
    const std::string name = pin.substr(kOperatorPrefix.size());
    if (std::ranges::find(rows, name, &PodProgramStatus::name) != rows.end()) continue;
    PodProgramStatus row;
    row.name = name;
    row.state = HookState::kAdopted;
    rows.push_back(std::move(row));
  }
  for (const auto& set : own_.known())
    for (const auto hook : model::kAllHooks) also_ours.push_back(set->program(hook).info.id);
  const auto loaded = ids(folder);
  also_ours.insert(also_ours.end(), loaded.begin(), loaded.end());
  for (auto& row : rows)
    if (row.state != HookState::kRefused) look(row, folder, record, clock, also_ours);
  std::ranges::sort(rows, {}, &PodProgramStatus::name);
  return rows;
}

void PodPrograms::look(PodProgramStatus& row, const std::string& folder, const Record& record, const Clock& clock,
                       const std::vector<uint32_t>& ours) const {
  const auto dead = [&row](std::string why) {
    row.state = HookState::kDead;
    row.error = fmt::format("program '{}' ({}): {}", row.name, to_string(row.hook), why);
  };
  const auto link = BpfLink::open(fmt::format("{}/{}{}", folder, kOperatorPrefix, row.name));
  if (!link) return dead("its pin is gone: " + link.error().message());
  const auto info = link->info();
  if (!info) return dead(info.error().message());
  row.link_id = info->id;
  row.program_id = info->program_id;
  if (const auto hook = program_hook_of(info->attach_type)) row.hook = *hook;
  if (const auto loaded = loaded_.find(row.name); loaded != loaded_.end() && loaded->second.info.id == info->program_id)
    row.program_tag = loaded->second.info.tag;
  if (info->cgroup_id.empty()) return dead("it was detached, or the cgroup it was attached to is gone");
  if (record.cgroup_path.empty()) return;  // of an earlier run, and not attached by this one: where its cgroup lies is not known
  struct stat st{};
  if (::stat(record.cgroup_path.c_str(), &st) == 0 && st.st_ino != record.cgroup_id.value())
    return dead("the pod's cgroup was removed and made again without its programs");
  if (info->cgroup_id != record.cgroup_id) return dead("it is attached to another cgroup");
  const auto dir = DirFd::open(record.cgroup_path);
  if (!dir) return;
  const auto view = query_effective(
      {.cgroup = *dir, .path = record.cgroup_path, .attach_type = info->attach_type, .program_id = info->program_id, .also_ours = ours},
      clock);
  if (view.answer == EffectiveView::Answer::kCgroupGone) return dead("the cgroup it was attached to is gone");
  if (view.answer != EffectiveView::Answer::kTold) return;
  row.position = view.position;
  row.effective_count = static_cast<int>(view.running.size());
  row.neighbours = view.neighbours;
  if (view.position != 0) return;
  row.state = HookState::kOverridden;
  row.error = fmt::format("program '{}' ({}): attached to '{}', but the kernel does not run it there: it runs {} others", row.name,
                          to_string(row.hook), record.cgroup_path, view.running.size());
}

}  // namespace pintle::bpf
