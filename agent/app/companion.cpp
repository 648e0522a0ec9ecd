// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/companion.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"

namespace pintle::app {
namespace {

constexpr std::string_view kCgroupSource = "cgroup";

reconcile::PodPtr nameless_pod(const PodUid& uid) {
  auto pod = std::make_shared<model::Pod>();
  pod->metadata.uid = uid.value();
  pod->metadata.name = uid.value();
  pod->metadata.namespace_.clear();  // none that a policy could mean
  pod->status.phase = model::Phase::kRunning;
  return pod;
}

}  // namespace

// The engine's plans, but for a pod that an earlier run left under a policy: what is in force stays until the policies are read again.
class Companion::Planner final : public ports::ProgramPlanner {
 public:
  Planner(policy::PolicyEngine& engine, ports::ProgramPlanner& planner, ports::ProgramAttacher& attacher)
      : engine_(engine), planner_(planner), attacher_(attacher) {}
  Result<model::ProgramPlan> plan_for(const model::Pod& pod) override {
    if (!engine_.synced() && was_attached(pod.uid()))
      return fail(Code::kUnavailable,
                  "its programs of an earlier run stay as they are until the cluster's network policies have been read");
    return planner_.plan_for(pod);
  }
  void forget(const PodUid& uid) override { planner_.forget(uid); }

 private:
  [[nodiscard]] bool was_attached(const PodUid& uid) {
    const auto report = attacher_.inspect(uid);
    return report && std::ranges::any_of(report->hooks, [](const auto& hook) { return hook.state == model::HookState::kAdopted; });
  }
  policy::PolicyEngine& engine_;
  ports::ProgramPlanner& planner_;
  ports::ProgramAttacher& attacher_;
};

// The kubelet writes status and runs probes; no decision asks for either.
class Companion::Silence final : public reconcile::StatusSink, public reconcile::ProbeRunner {
 public:
  void publish(reconcile::StatusUpdate) override {}
  void forget(const PodUid&) override {}
  void start(const PodUid&, const lifecycle::ProbeRun&, const reconcile::ActionContext&, std::stop_token) override {}
};

Companion::Companion(std::string tree, std::string top, Parts parts)
    : tree_(std::move(tree)),
      parts_(parts),
      planner_(std::make_unique<Planner>(parts.policies, parts.planner, parts.attacher)),
      silence_(std::make_unique<Silence>()),
      watch_(
          std::make_unique<cgroup::PodCgroupWatch>(cgroup::PodCgroupWatchOptions{.top = std::move(top)},
                                                   cgroup::PodCgroupWatchOutputs{.appeared = [this](const PodUid& uid) { appeared(uid); },
                                                                                 .vanished = [this](const PodUid& uid) { vanished(uid); },
                                                                                 .parent = parts.parent_found,
                                                                                 .qos_class = parts.class_found})),
      runner_(std::make_unique<reconcile::CompanionRunner>(
          reconcile::CompanionRunner::Ports{*watch_, parts.attacher, *planner_}, parts.clock, parts.workers,
          [this](PodUid uid, reconcile::ActionTicket ticket, reconcile::ActionReply reply) {
            parts_.loop.post([uid = std::move(uid), ticket, reply = std::move(reply)](reconcile::PodLoop& pods, Time now) mutable {
              pods.action_done(uid, ticket, std::move(reply), now);
            });
          })) {}

Companion::~Companion() { stop(); }

Result<std::unique_ptr<Companion>> Companion::create(const config::AgentConfig& config, Parts parts) {
  PINTLE_ASSIGN_OR_RETURN(std::string tree, cgroup::find_node_tree(config.pintle.cgroup_mount));
  std::string top = config.cgroup_root == "/" ? tree : tree + config.cgroup_root;
  return std::unique_ptr<Companion>(new Companion(std::move(tree), std::move(top), std::move(parts)));
}

reconcile::PodLoopOutputs Companion::outputs(ports::EventSink& events) {
  return {.actions = *runner_, .probes = *silence_, .statuses = *silence_, .events = events, .watcher = nullptr, .owner = {}};
}

Status Companion::start(const config::AgentConfig& config) {
  auto facts = std::make_shared<lifecycle::NodeFacts>();
  facts->node_name = config.pintle.node_name;
  facts->owns_pods = false;
  facts->runtime_ready = true;
  facts->ebpf_default = config.pintle.ebpf.policy;
  parts_.loop.post([facts](reconcile::PodLoop& pods, Time now) {
    pods.set_node(facts, now);
    pods.observe_all({}, {}, 1, now);  // no runtime is read: pods are decided on at once
  });
  return watch_->start();
}

void Companion::stop() {
  if (watch_) watch_->stop();
}

void Companion::appeared(const PodUid& uid) {
  const MutexLock lock(mu_);
  if (told_by_api_.contains(uid)) {
    parts_.loop.post([uid](reconcile::PodLoop& pods, Time now) { pods.hint_programs(uid, now); });
    return;
  }
  nameless_.insert(uid);
  parts_.loop.post([pod = nameless_pod(uid)](reconcile::PodLoop& pods, Time now) {
    if (!pods.find(pod->uid())) return pods.set_pod(pod, std::string(kCgroupSource), now);
    pods.hint_programs(pod->uid(), now);
  });
}

void Companion::vanished(const PodUid& uid) {
  const MutexLock lock(mu_);
  const bool nameless = nameless_.erase(uid) > 0;
  parts_.loop.post([uid, nameless](reconcile::PodLoop& pods, Time now) {
    pods.hint_programs(uid, now);
    if (nameless) pods.remove_pod(uid, now);
  });
}

void Companion::note(const sources::PodChanges& changes) {
  const MutexLock lock(mu_);
  for (const auto* list : {&changes.added, &changes.updated, &changes.deleting, &changes.status_only})
    for (const auto& pod : *list) {
      told_by_api_.insert(pod->uid());
      nameless_.erase(pod->uid());
    }
  for (const auto& gone : changes.removed) told_by_api_.erase(gone.uid);
}

// Under the lock, so that what the API tells of it comes after, in the loop and in the engine.
void Companion::note(const ports::PodPtr& pod) {
  const PodUid uid = pod->uid();
  const MutexLock lock(mu_);
  if (told_by_api_.contains(uid)) return;
  nameless_.insert(uid);
  parts_.policies.set_pod(*pod);
  parts_.loop.post([pod](reconcile::PodLoop& pods, Time now) { pods.set_pod(pod, std::string(kCgroupSource), now); });
}

void Companion::withdraw(const PodUid& uid) {
  const MutexLock lock(mu_);
  if (told_by_api_.contains(uid) || has_cgroup(uid) || nameless_.erase(uid) == 0) return;
  parts_.policies.remove_pod(uid);
  parts_.loop.post([uid](reconcile::PodLoop& pods, Time now) { pods.remove_pod(uid, now); });
}

bool Companion::has_cgroup(const PodUid& uid) {
  const auto found = watch_->find(uid);
  if (found && *found) return true;
  watch_->look_soon();
  return false;
}

void Companion::release_leftovers() {
  const auto pinned = parts_.attacher.list_pinned();
  if (!pinned) {
    PINTLE_LOG(kWarning, "companion", "list pins: {}", pinned.error().message());
    return;
  }
  parts_.loop.post([pinned = *pinned](reconcile::PodLoop& pods, Time now) { pods.observe_all({}, pinned, 2, now); });
}

}  // namespace pintle::app
