// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <variant>

#include "bench/bench.h"
#include "lifecycle/decide.h"
#include "model/defaults.h"

namespace pintle::bench {
namespace {

constexpr int kDecisions = 200'000;
const Time kStart{std::chrono::seconds(1'800'000'000)};

model::Pod web_pod() {
  model::Pod pod;
  pod.metadata.name = "web";
  pod.metadata.uid = "6f2c7a1e-0000-4000-8000-000000000001";
  pod.metadata.labels = {{"app", "web"}};
  for (const char* name : {"httpd", "client"}) {
    model::Container container;
    container.name = name;
    container.image = "example.test/web:1";
    pod.spec.containers.push_back(container);
  }
  model::apply_defaults(pod);
  return pod;
}

model::ObservedPod running(const model::Pod& pod) {
  model::ObservedPod seen;
  seen.uid = pod.uid();
  model::ObservedSandbox sandbox;
  sandbox.id = SandboxId("sandbox");
  sandbox.uid = pod.uid();
  sandbox.state = model::SandboxState::kReady;
  sandbox.created_at = kStart;
  sandbox.ips = {"10.88.0.2"};
  seen.sandboxes = {sandbox};
  for (const auto& spec : pod.spec.containers) {
    model::ObservedContainer container;
    container.id = ContainerId("id-" + spec.name);
    container.sandbox_id = sandbox.id;
    container.uid = pod.uid();
    container.name = spec.name;
    container.state = model::RunState::kRunning;
    container.created_at = container.started_at = kStart;
    container.image = spec.image;
    container.detailed = true;
    seen.containers.push_back(container);
  }
  return seen;
}

lifecycle::ActionOutcome outcome_of(const lifecycle::Action& action, const model::ObservedPod& seen) {
  lifecycle::ActionOutcome outcome;
  if (std::holds_alternative<lifecycle::EnsureCgroup>(action))
    outcome.value = lifecycle::CgroupReady{CgroupId(1), "/kubepods/pod", "/kubepods/pod"};
  if (std::holds_alternative<lifecycle::AttachPrograms>(action)) {
    model::AttachReport report{.uid = seen.uid, .cgroup_id = CgroupId(1)};
    for (const auto hook : model::kDefaultHooks)
      report.hooks.push_back({.hook = hook, .state = model::HookState::kAttached, .link_id = LinkId(1)});
    outcome.value = report;
  }
  if (std::holds_alternative<lifecycle::EnsureImage>(action)) outcome.value = model::ImageInfo{.id = "sha256:0"};
  return outcome;
}

}  // namespace

// A settled pod of two containers: what the loop asks about most.
Result<Figures> decide_bench() {
  const model::Pod pod = web_pod();
  const model::ObservedPod seen = running(pod);
  lifecycle::NodeFacts node;
  node.node_name = "node";
  node.host_ips = {"192.0.2.1"};
  node.runtime_ready = node.network_ready = true;
  lifecycle::PodMemory memory;
  lifecycle::PodView view{.desired = &pod, .observed = &seen, .memory = &memory, .node = &node};
  Time now = kStart + std::chrono::seconds(5);
  for (int step = 0; step < 20; ++step) {
    auto decision = lifecycle::decide(view, now);
    memory = std::move(decision.memory);
    if (decision.plan.empty()) break;
    for (const auto& action : decision.plan) lifecycle::record(memory, action, outcome_of(action, seen), now);
    now += std::chrono::milliseconds(10);
  }
  const auto settled = lifecycle::decide(view, now);
  if (!settled.plan.empty() || settled.status.phase != model::Phase::kRunning) return fail(Code::kInternal, "the pod did not settle");

  const StopWatch watch;
  size_t conditions = 0;
  for (int i = 0; i < kDecisions; ++i) {
    now += std::chrono::milliseconds(1);
    auto decision = lifecycle::decide(view, now);
    conditions += decision.status.conditions.size();
    memory = std::move(decision.memory);
  }
  const double seconds = watch.seconds();
  if (conditions == 0) return fail(Code::kInternal, "nothing was decided");
  return Figures{{"lifecycle.decide_per_s", kDecisions / seconds}};
}

}  // namespace pintle::bench
