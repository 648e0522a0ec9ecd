// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/effective.h"

#include <algorithm>
#include <cerrno>

#include <bpf/bpf.h>
#include <fmt/format.h>

#include "bpf/evidence.h"
#include "bpf/object_info.h"
#include "bpf/raw_call.h"

namespace pintle::bpf {
namespace {

using Answer = EffectiveView::Answer;

Answer answer_of(int err) {
  switch (err) {
    case ENOENT:
    case ENODEV:
    case ENXIO: return Answer::kCgroupGone;
    case EPERM:
    case EACCES: return Answer::kNotAllowed;
    default: return Answer::kUnknownHook;
  }
}

std::string folder_above(const std::string& path) {
  const auto slash = path.find_last_not_of('/') == std::string::npos ? 0 : path.rfind('/', path.find_last_not_of('/'));
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

model::ForeignProgram describe(uint32_t id, const std::string& cgroup, uint32_t flags, Duration wall) {
  model::ForeignProgram out;
  out.id = id;
  out.cgroup = cgroup;
  out.exclusive = (flags & (kFlagAllowMulti | kFlagAllowOverride)) == 0;
  out.overridable = (flags & kFlagAllowMulti) == 0 && (flags & kFlagAllowOverride) != 0;
  const UniqueFd fd(bpf_prog_get_fd_by_id(id));
  if (!fd.valid()) return out;  // rights, or it went away meanwhile
  if (const auto info = program_details(fd.get())) {
    out.name = info->name;
    out.tag = info->tag;
    out.uid = info->uid;
    out.loaded_at = Time(wall + info->loaded);
  }
  return out;
}

class Walk {
 public:
  Walk(const EffectiveQuery& query, EffectiveView& view, const Clock& clock) : query_(query), view_(view), wall_(boot_to_wall(clock)) {}

  void up() {
    std::string path = query_.path;
    UniqueFd held;
    for (int at = query_.cgroup.get();; at = held.get()) {
      add_level(at, path);
      UniqueFd parent = parent_cgroup(at);
      if (!parent.valid() || !is_cgroup2(parent.get())) return;
      held = std::move(parent);
      path = folder_above(path);
    }
  }

 private:
  void add_level(int at, const std::string& path) {
    const auto own = query_cgroup(at, query_.attach_type, QueryScope::kOwn);
    if (!own) return;  // gone, or not ours to ask: the others still tell
    for (const auto id : own->ids) {
      if (id == query_.program_id || std::ranges::find(query_.also_ours, id) != query_.also_ours.end()) continue;
      auto found = describe(id, path, own->flags, wall_);
      const auto runs_from = [&](std::ptrdiff_t place) {
        return std::find(view_.running.begin() + place, view_.running.end(), id) != view_.running.end();
      };
      found.in_force = runs_from(0);
      found.runs_after = view_.position > 0 && runs_from(view_.position);
      view_.neighbours.push_back(std::move(found));
    }
  }

  const EffectiveQuery& query_;
  EffectiveView& view_;
  const Duration wall_;
};

}  // namespace

EffectiveView query_effective(const EffectiveQuery& query, const Clock& clock) {
  EffectiveView view;
  auto running = query_cgroup(query.cgroup.get(), query.attach_type, QueryScope::kEffective);
  if (!running) {
    view.sys_errno = running.error().sys_errno;
    view.answer = answer_of(view.sys_errno);
    return view;
  }
  view.running = std::move(running->ids);
  if (const auto ours = std::ranges::find(view.running, query.program_id); ours != view.running.end())
    view.position = static_cast<int>(ours - view.running.begin()) + 1;
  Walk(query, view, clock).up();
  return view;
}

void add_effective(model::HookStatus& status, const EffectiveQuery& query, uint32_t link_program_id, const Clock& clock) {
  const bool attached = status.state == model::HookState::kAttached || status.state == model::HookState::kAdopted;
  const auto view = query_effective(query, clock);
  const auto hook = model::to_string(status.hook);
  if (view.answer == Answer::kCgroupGone && attached) {
    status.state = model::HookState::kDead;
    status.sys_errno = view.sys_errno;
    status.error = fmt::format("hook '{}': the cgroup it was attached to is gone", hook);
  }
  if (view.answer != Answer::kTold) return;
  status.position = view.position;
  status.effective_count = static_cast<int>(view.running.size());
  status.neighbours = view.neighbours;
  if (!attached) return;
  if (link_program_id != query.program_id) {
    status.state = model::HookState::kOverridden;
    status.error =
        fmt::format("hook '{}': somebody put program {} in the place of ours ({}) into the link", hook, link_program_id, query.program_id);
  } else if (view.position == 0) {
    status.state = model::HookState::kOverridden;
    status.error = fmt::format("hook '{}': attached to '{}', but the kernel does not run it there: it runs {} others", hook, query.path,
                               view.running.size());
  }
}

}  // namespace pintle::bpf
