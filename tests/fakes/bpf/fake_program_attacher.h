// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Pins and links in memory: outlives an agent that is restarted on it, keeps link ids over an adoption, and knows at any moment
// which pod has which hooks. No thread, no clock. Held to the same contract suite as LibbpfAttacher.
#pragma once

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "fakes/fault_plan.h"
#include "ports/program_attacher.h"

namespace pintle::fakes {

class FakeProgramAttacher final : public ports::ProgramAttacher {
 public:
  FaultPlan faults;                                              // attach, detach, list_pinned
  std::map<std::string, std::string> sets = {{"builtin", "1"}};  // name -> version: those that can be loaded
  std::set<std::string> refuses_sets, rolls_back_sets;           // of them: fail their check before, or after pods have them
  std::vector<model::ProgramSetLeftover> leaves;                 // what the next uses of a set do not get in order
  std::set<model::Hook> refused;                                 // hooks that no pod gets until they are taken out again

  // A new agent: links found from now on count as adopted.
  void restart() { this_run_.clear(); }
  // The pod's cgroup went away under its links.
  void kill_links(const PodUid& uid) {
    if (const auto found = pods_.find(uid); found != pods_.end()) found->second.dead = true;
    if (suspicion_) suspicion_(uid);
  }
  void emit(const model::ProgramEvent& event) {
    if (observer_) observer_(event);
  }
  [[nodiscard]] bool has(const PodUid& uid, model::Hook hook) const {
    const auto found = pods_.find(uid);
    return found != pods_.end() && !found->second.dead && found->second.links.contains(hook);
  }
  [[nodiscard]] std::optional<model::ProgramPlan> plan_of(const PodUid& uid) const {
    const auto found = pods_.find(uid);
    return found == pods_.end() ? std::nullopt : std::optional(found->second.plan);
  }
  [[nodiscard]] bool has_any(const PodUid& uid) const { return pods_.contains(uid); }

  Result<model::AttachReport> attach(const ports::PodIdentity& pod, const ports::PodCgroup& cgroup,
                                     const model::ProgramPlan& plan) override {
    if (auto error = faults.next("attach", pod.uid.value())) return std::unexpected(*error);
    auto& held = pods_[pod.uid];
    if (held.dead || held.cgroup != cgroup.id) held = {.cgroup = cgroup.id, .path = cgroup.path};
    model::AttachReport report{.uid = pod.uid, .cgroup_id = cgroup.id, .cgroup_path = cgroup.path};
    held.plan = plan;
    std::erase_if(held.links, [&](const auto& link) { return std::ranges::find(plan.hooks, link.first) == plan.hooks.end(); });
    for (const auto hook : plan.hooks) {
      model::HookStatus status{.hook = hook, .program_tag = "0011223344556677", .program_id = 7, .program_set = set_.name};
      if (refused.contains(hook) && !held.links.contains(hook)) {
        status.state = model::HookState::kRefused;
        status.sys_errno = EPERM;
        status.error = "attach '" + std::string(model::to_string(hook)) + "' to '" + cgroup.path + "': refused by the test";
      } else {
        auto [link, made] = held.links.try_emplace(hook, LinkId(0));
        if (made) {
          link->second = LinkId(++last_link_);
          this_run_.insert(link->second);
        }
        status.link_id = link->second;
        status.state = this_run_.contains(link->second) ? model::HookState::kAttached : model::HookState::kAdopted;
      }
      report.hooks.push_back(std::move(status));
    }
    if (plan.all_programs_known)
      std::erase_if(held.programs, [&](const auto& link) {
        return std::ranges::find(plan.programs, link.first, &model::PlannedProgram::name) == plan.programs.end();
      });
    for (const auto& planned : plan.programs) report.programs.push_back(attach_program(held, planned));
    held.report = report;
    return report;
  }
  Status detach(const PodUid& uid) override {
    if (auto error = faults.next("detach", uid.value())) return std::unexpected(*error);
    pods_.erase(uid);
    return {};
  }
  Result<std::vector<PodUid>> list_pinned() override {
    if (auto error = faults.next("list_pinned")) return std::unexpected(*error);
    std::vector<PodUid> uids;
    for (const auto& [uid, held] : pods_) uids.push_back(uid);
    return uids;
  }
  Result<model::AttachReport> inspect(const PodUid& uid) override {
    const auto found = pods_.find(uid);
    if (found == pods_.end()) return fail(Code::kNotFound, "nothing is attached for pod '" + uid.value() + "'");
    model::AttachReport report = found->second.report;
    for (auto& hook : report.hooks) hook.program_set = set_.name;
    if (found->second.dead)
      for (auto& hook : report.hooks) hook.state = model::HookState::kDead;
    if (found->second.dead)
      for (auto& program : report.programs) program.state = model::HookState::kDead;
    return report;
  }
  Result<model::PodCounters> counters(const PodUid& uid) override {
    if (!pods_.contains(uid)) return fail(Code::kNotFound, "nothing is attached for pod '" + uid.value() + "'");
    return model::PodCounters{};
  }
  void each_counters(const CountersVisitor& visit) override {
    for (const auto& [uid, held] : pods_) visit(uid, model::PodCounters{});
  }
  std::vector<model::FeatureProbe> features() override { return {{.name = "fake", .available = true}}; }
  Status use_program_set(const std::string& name) override {
    if (auto error = faults.next("use_program_set", name)) return std::unexpected(*error);
    set_.leftovers = leaves;
    using Attempt = model::ProgramSetStatus::Attempt;
    const auto found = sets.find(name);
    const bool known = found != sets.end();
    if (known && set_.name == name && set_.version == found->second) {
      (void)fail_set(Attempt::kNone, {}, {}, {});
      return {};
    }
    if (!known) return fail_set(Attempt::kRefused, name, {}, "there is none");
    if (set_.wanted == name && set_.wanted_version == found->second) return fail(Code::kInvalid, set_.error);
    if (refuses_sets.contains(name)) return fail_set(Attempt::kRefused, name, found->second, "its check failed");
    if (rolls_back_sets.contains(name)) {
      ++set_.rolled_back;
      return fail_set(Attempt::kRolledBack, name, found->second, "its check failed");
    }
    (void)fail_set(Attempt::kNone, {}, {}, {});
    set_.name = name, set_.version = found->second;
    ++set_.switched;
    return {};
  }
  model::ProgramSetStatus program_set() override { return set_; }
  void on_suspicion(std::function<void(const PodUid&)> observer) override { suspicion_ = std::move(observer); }
  void on_event(std::function<void(const model::ProgramEvent&)> observer) override { observer_ = std::move(observer); }
  uint64_t events_lost() override { return 0; }

 private:
  std::unexpected<Error> fail_set(model::ProgramSetStatus::Attempt attempt, const std::string& name, const std::string& version,
                                  const std::string& why) {
    set_.attempt = attempt;
    set_.wanted = name;
    set_.wanted_version = version;
    set_.error = why.empty() ? "" : "program set '" + name + "': " + why;
    return fail(version.empty() ? Code::kNotFound : Code::kInvalid, set_.error);
  }
  struct Held {
    CgroupId cgroup;
    std::string path;
    std::map<model::Hook, LinkId> links;
    std::map<std::string, LinkId> programs;  // of operators
    model::AttachReport report;
    model::ProgramPlan plan;
    bool dead = false;
  };
  // One that is not loaded leaves what an earlier one attached.
  model::PodProgramStatus attach_program(Held& held, const model::PlannedProgram& planned) {
    model::PodProgramStatus status;
    status.name = planned.name;
    status.hook = planned.hook;
    status.order = planned.order;
    status.required = planned.required;
    status.error = planned.error;
    if (planned.program_id == 0 && !held.programs.contains(planned.name)) {
      status.state = model::HookState::kRefused;
      return status;
    }
    auto [link, made] = held.programs.try_emplace(planned.name, LinkId(0));
    if (made) this_run_.insert(link->second = LinkId(++last_link_));
    status.link_id = link->second;
    status.program_id = planned.program_id;
    status.program_tag = "0123456789abcdef";
    status.state = this_run_.contains(link->second) ? model::HookState::kAttached : model::HookState::kAdopted;
    return status;
  }

  std::map<PodUid, Held> pods_;
  std::set<LinkId> this_run_;
  uint32_t last_link_ = 100;
  std::function<void(const model::ProgramEvent&)> observer_;
  std::function<void(const PodUid&)> suspicion_;
  model::ProgramSetStatus set_{.name = "builtin", .version = "1"};
};

}  // namespace pintle::fakes
