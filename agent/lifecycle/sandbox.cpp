// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/sandbox.h"

#include <algorithm>

#include "lifecycle/dns.h"
#include "lifecycle/instances.h"
#include "lifecycle/start.h"
#include "lifecycle/terminate.h"

namespace pintle::lifecycle {
namespace {

using model::SandboxState;

// Row 9.2: with nothing left to run a dead sandbox is not replaced.
bool may_replace(const Context& ctx) {
  if (ctx.observed.containers.empty()) return true;
  if (ctx.pod.spec.restart_policy == model::RestartPolicy::kNever) return false;
  return std::any_of(ctx.pod.spec.containers.begin(), ctx.pod.spec.containers.end(), [&](const auto& c) {
    const auto* instance = newest_instance(ctx.observed, c.name);
    return instance == nullptr || may_run(*instance) || will_be_started(ctx, c, ContainerKind::kRegular, instance);
  });
}

bool network_waits(Context& ctx) {
  if (ctx.pod.spec.host_network || ctx.node.network_ready) {
    ctx.memory.network_told = false;
    return false;
  }
  ctx.explain("the node's network is not ready: " + ctx.node.network_message);
  if (!ctx.memory.network_told) {
    ctx.memory.network_told = true;
    ctx.tell(model::EventType::kWarning, "NetworkNotReady", "network is not ready: " + ctx.node.network_message);
  }
  return true;
}

bool is_v6(const std::string& ip) { return ip.find(':') != std::string::npos; }

}  // namespace

const std::vector<std::string>& sandbox_ips(const Context& ctx) {
  static const std::vector<std::string> kNone;
  const auto* sandbox = newest_sandbox(ctx.observed);
  if (sandbox == nullptr) return kNone;
  if (!sandbox->ips.empty()) return sandbox->ips;
  return ctx.memory.ips_of == sandbox->id ? ctx.memory.sandbox_ips : kNone;
}

std::vector<std::string> pod_ips(const Context& ctx) {
  const auto* sandbox = newest_sandbox(ctx.observed);
  if (ctx.pod.spec.host_network) return sandbox == nullptr ? std::vector<std::string>{} : ctx.node.host_ips;
  const auto& all = sandbox_ips(ctx);
  if (all.size() < 2) return all;
  const bool v6_first = !ctx.node.host_ips.empty() && is_v6(ctx.node.host_ips.front());
  std::vector<std::string> chosen;
  for (const bool v6 : {v6_first, !v6_first})
    if (const auto found = std::find_if(all.begin(), all.end(), [&](const auto& ip) { return is_v6(ip) == v6; }); found != all.end())
      chosen.push_back(*found);
  return chosen;
}

bool sandbox_usable(const Context& ctx, const model::ObservedSandbox& newest) {
  if (newest.state != SandboxState::kReady || newest.host_network != ctx.pod.spec.host_network) return false;
  const auto ready = std::count_if(ctx.observed.sandboxes.begin(), ctx.observed.sandboxes.end(),
                                   [](const auto& sandbox) { return sandbox.state == SandboxState::kReady; });
  return ready == 1 && (newest.host_network || !sandbox_ips(ctx).empty());
}

bool plan_sandbox(Context& ctx, const model::ObservedSandbox* newest) {
  if (newest != nullptr && sandbox_usable(ctx, *newest)) return false;
  if (newest != nullptr && !may_replace(ctx)) {
    ctx.explain("its sandbox is gone and the restart policy asks for no other");
    return false;
  }
  if (newest != nullptr && ctx.memory.sandbox_changed_told != newest->id) {
    ctx.memory.sandbox_changed_told = newest->id;
    ctx.tell(model::EventType::kNormal, "SandboxChanged", "Pod sandbox changed, it will be killed and re-created.");
  }
  if (plan_stop_all(ctx)) return true;
  for (const auto& sandbox : ctx.observed.sandboxes)
    if (sandbox.state == SandboxState::kReady) ctx.plan(StopSandbox{sandbox.id}, PlanKind::kSync);
  if (!ctx.out.plan.empty()) {
    ctx.explain("stopping the old sandbox");
    return true;
  }
  if (network_waits(ctx)) return false;
  if (!ctx.memory.step_wait)
    for (auto& note : resolve_dns(ctx.pod, ctx.node).notes)
      ctx.tell(model::EventType::kWarning, std::move(note.reason), std::move(note.message));
  ctx.plan(RunSandbox{newest == nullptr ? 0 : newest->attempt + 1}, PlanKind::kSync);
  ctx.explain("making the sandbox");
  return true;
}

}  // namespace pintle::lifecycle
