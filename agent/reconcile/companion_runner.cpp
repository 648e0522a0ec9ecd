// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/companion_runner.h"

#include <fmt/format.h>

namespace pintle::reconcile {

using lifecycle::ActionOutcome;

class CompanionRunner::Step {
 public:
  Step(CompanionRunner& self, const PodUid& uid, const model::Pod& pod, ActionOutcome& outcome)
      : self_(self), uid_(uid), pod_(pod), outcome_(outcome) {}

  void operator()(const lifecycle::FindCgroup&) {
    auto found = self_.ports_.cgroups.find(uid_);
    if (!found) return failed(std::move(found).error());
    const MutexLock lock(self_.mu_);
    if (!*found) {
      self_.cgroups_.erase(uid_);
      return;
    }
    auto& cgroup = (*found)->cgroup;
    outcome_.value = lifecycle::CgroupReady{cgroup.id, cgroup.path, {}, (*found)->populated};
    self_.cgroups_[uid_] = std::move(cgroup);
  }
  void operator()(const lifecycle::AttachPrograms&) {
    ports::PodCgroup cgroup;
    {
      const MutexLock lock(self_.mu_);
      const auto found = self_.cgroups_.find(uid_);
      if (found == self_.cgroups_.end())
        return failed({Code::kGone, 0, fmt::format("attach programs to pod '{}': its cgroup is not open", uid_.value())});
      cgroup = found->second;
    }
    const auto plan = self_.ports_.planner.plan_for(pod_);
    if (!plan) return failed(plan.error(), std::string(lifecycle::kProgramPlanRefused));
    auto report = self_.ports_.programs.attach({uid_, pod_.metadata.namespace_, pod_.metadata.name}, cgroup, *plan);
    if (!report) return failed(std::move(report).error(), lifecycle::attach_failure(*plan));
    outcome_.value = *std::move(report);
  }
  void operator()(const lifecycle::DetachPrograms&) {
    {
      const MutexLock lock(self_.mu_);
      self_.cgroups_.erase(uid_);  // an open directory would keep a removed cgroup alive
    }
    if (auto done = self_.ports_.programs.detach(uid_); !done) return failed(std::move(done).error());
    self_.ports_.planner.forget(uid_);
  }
  template <typename Other>
  void operator()(const Other& other) {
    failed({Code::kUnsupported, 0, fmt::format("{}: the kubelet owns this pod", lifecycle::describe(other))});
  }

 private:
  void failed(Error error, std::string reason = {}) {
    outcome_.error = std::move(error);
    outcome_.reason = std::move(reason);
  }
  CompanionRunner& self_;
  const PodUid& uid_;
  const model::Pod& pod_;
  ActionOutcome& outcome_;
};

ActionOutcome CompanionRunner::execute(const PodUid& uid, const lifecycle::Action& action, const model::Pod& pod) {
  ActionOutcome outcome;
  const auto begun = clock_.steady();
  std::visit(Step(*this, uid, pod, outcome), action);
  outcome.took = clock_.steady() - begun;
  return outcome;
}

void CompanionRunner::start(const PodUid& uid, ActionTicket ticket, const lifecycle::Action& action, const ActionContext& context,
                            std::stop_token) {
  pool_.submit([this, uid, ticket, action, pod = context.pod] { done_(uid, ticket, {execute(uid, action, *pod), 0}); });
}

}  // namespace pintle::reconcile
