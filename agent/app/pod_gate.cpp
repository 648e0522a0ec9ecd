// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/pod_gate.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"
#include "base/mutex.h"
#include "cgroup/pod_names.h"
#include "lifecycle/programs.h"

namespace pintle::app {
namespace {

using reconcile::PodLoop;
using reconcile::ProgramStanding;
using State = ProgramStanding::State;

// While policies are not known nothing tells when they are: only when the agent starts.
constexpr Duration kLookAgain = std::chrono::milliseconds(5);

bool is_kubelets(const ports::RuntimePod& told) {
  const auto& path = told.cgroup_parent;
  const auto uid = cgroup::pod_of(std::string_view(path).substr(path.rfind('/') + 1));
  return uid && *uid == told.pod->uid();
}

// What a waiting thread and the loop share. An answer counts if the programs were asked for as often as was wanted: what is attached
// may be of a plan that did not know the pod, or its policies, yet.
struct Waiting {
  Mutex mu;
  ConditionVariable changed;
  uint64_t wanted PINTLE_GUARDED_BY(mu) = 1;
  std::optional<ProgramStanding> standing PINTLE_GUARDED_BY(mu);
  uint64_t asked = 0;  // the loop's own
};

// On the loop's thread.
void look(Waiting& waiting, PodLoop& pods, const PodUid& uid, Time now) {
  auto standing = pods.program_standing(uid);
  if (!standing || !standing->named) return;
  const MutexLock lock(waiting.mu);
  if (waiting.asked != waiting.wanted) {
    waiting.asked = waiting.wanted;
    pods.hint_programs(uid, now);
    standing = pods.program_standing(uid);
  }
  waiting.standing = std::move(standing);
  waiting.changed.notify_one();
}

void ask(reconcile::LoopThread& loop, const std::shared_ptr<Waiting>& waiting, const PodUid& uid) {
  loop.post([waiting, uid](PodLoop& pods, Time now) { look(*waiting, pods, uid, now); });
}

// Whether more time could change the answer for the better.
bool is_answer(const ProgramStanding& standing, bool policies_known) {
  switch (standing.state) {
    case State::kOff: return true;
    case State::kInForce: return policies_known;
    case State::kRefused: return standing.policy != model::EbpfPolicy::kRequired && policies_known;
    case State::kPending:
    case State::kNoPlan: return false;
  }
  return false;
}

}  // namespace

void PodGate::synchronized(const std::vector<ports::RuntimePod>& pods) {
  for (const auto& told : pods)
    if (is_kubelets(told) && parts_.has_cgroup(told.pod->uid())) parts_.note(told.pod);
}

void PodGate::sandbox_made(const ports::RuntimePod& told, Duration budget, const std::stop_token& stop) {
  if (is_kubelets(told)) (void)wait(told.pod, budget, stop);  // the containers' answer counts: ignoring
}

Status PodGate::before_container(const ports::RuntimePod& told, const std::string& container, Duration budget,
                                 const std::stop_token& stop) {
  if (!is_kubelets(told)) return {};
  const auto standing = wait(told.pod, budget, stop);
  if (stop.stop_requested() || standing.state == State::kOff || standing.why.empty()) return {};
  const bool must =
      standing.state == State::kNoPlan || (standing.policy == model::EbpfPolicy::kRequired && standing.state != State::kInForce);
  if (!must || !parts_.fail_closed) {
    tell_late(told.pod, container, standing.why);
    return {};
  }
  return fail(Code::kUnavailable,
              fmt::format("pintle: eBPF programs of pod '{}' are required and not in force: {} (annotation {}; on the node: "
                          "pintlectl explain pod/{})",
                          told.pod->full_name(), standing.why, model::kEbpfPolicyAnnotation, told.pod->metadata.name));
}

// Its `why` is empty when all is well.
ProgramStanding PodGate::wait(const ports::PodPtr& pod, Duration budget, const std::stop_token& stop) {
  const PodUid uid = pod->uid();
  const auto until = parts_.clock.steady() + budget;
  const auto waiting = std::make_shared<Waiting>();
  const auto subscription = parts_.loop.watch([this, waiting, uid](const ports::PodRecord& record) {
    if (record.pod->uid() == uid) ask(parts_.loop, waiting, uid);
  });
  parts_.note(pod);
  const bool had_cgroup = parts_.has_cgroup(uid);
  bool known = parts_.policies_known();
  ask(parts_.loop, waiting, uid);
  lifecycle::NodeFacts node;
  node.ebpf_default = parts_.policy;
  ProgramStanding last{.policy = lifecycle::ebpf_policy(*pod, node), .named = true, .why = "the agent has not looked at the pod yet"};
  while (!stop.stop_requested()) {
    const Duration left = until - parts_.clock.steady();
    const bool news = !known && parts_.policies_known();
    known = known || news;
    {
      const MutexLock lock(waiting->mu);
      if (news) {
        ++waiting->wanted;
        waiting->standing.reset();
        last.state = State::kPending;
      }
      if (waiting->standing) last = *std::exchange(waiting->standing, std::nullopt);
      if (is_answer(last, known)) {
        if (last.state == State::kInForce) last.why.clear();
        return last;
      }
      if (left <= Duration::zero()) break;
      const auto told = [&waiting]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return waiting->standing.has_value(); };
      if (!news) (void)waiting->changed.wait_for(waiting->mu, stop, known ? left : std::min(left, kLookAgain), told);
    }
    if (news) ask(parts_.loop, waiting, uid);
  }
  if (!had_cgroup && !parts_.has_cgroup(uid)) parts_.withdraw(uid);
  if (last.state == State::kInForce) last.why = "the cluster's network policies are not known yet";
  if (last.state != State::kOff && parts_.still_in_force(uid))
    return {.state = State::kInForce, .policy = last.policy, .named = true, .why = {}};
  return last;
}

void PodGate::tell_late(const ports::PodPtr& pod, const std::string& container, const std::string& why) {
  ++late_;
  PINTLE_LOG(kWarning, "nri", "container '{}' of pod '{}' starts before its eBPF programs are in force: {}", container, pod->full_name(),
             why);
  parts_.events.record({.object = {.api_version = "v1",
                                   .kind = "Pod",
                                   .namespace_ = pod->metadata.namespace_,
                                   .name = pod->metadata.name,
                                   .uid = pod->metadata.uid},
                        .type = model::EventType::kWarning,
                        .reason = "ProgramsNotInForce",
                        .message = fmt::format("container {} starts before its eBPF programs are in force: {}", container, why),
                        .time = parts_.clock.now()});
}

}  // namespace pintle::app
