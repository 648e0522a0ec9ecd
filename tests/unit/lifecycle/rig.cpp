// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "unit/lifecycle/rig.h"

#include <algorithm>
#include <stdexcept>

#include <fmt/format.h>

#include "lifecycle/container_hash.h"
#include "lifecycle/instances.h"

namespace pintle::lifecycle::test {
namespace {

template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <typename... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

model::Container container(std::string name) {
  model::Container c;
  c.name = std::move(name);
  c.image = "busybox:1.36";
  c.image_pull_policy = model::PullPolicy::kIfNotPresent;
  return c;
}

model::Pod pod(std::vector<model::Container> containers) {
  model::Pod p;
  p.metadata.name = "p";
  p.metadata.uid = "uid-1";
  p.metadata.generation = 1;
  p.spec.containers = std::move(containers);
  return p;
}

NodeFacts node() {
  NodeFacts facts;
  facts.node_name = "n1";
  facts.host_ips = {"10.77.0.1"};
  facts.runtime_ready = facts.network_ready = true;
  facts.cluster_dns = {"10.96.0.10"};
  return facts;
}

Rig::Rig(model::Pod wanted) : desired(std::move(wanted)), observed(model::ObservedPod{}) {}

const Decision& Rig::decide() {
  PodView view;
  view.desired = &desired;
  view.removed = removed;
  view.observed = observed ? &*observed : nullptr;
  view.memory = &memory;
  view.node = &facts;
  view.plan_running = !running.empty();
  view.requested_by_others = &others;
  view.pods_on_node = pods_on_node;
  last = lifecycle::decide(view, now);
  memory = last.memory;
  if (!last.plan.empty()) running = last.plan;
  events.insert(events.end(), last.events.begin(), last.events.end());
  return last;
}

void Rig::finish() {
  const auto plan = std::move(running);
  running.clear();
  for (const auto& action : plan) {
    log.push_back(describe(action));
    std::optional<ActionOutcome> failed = fault ? fault(action) : std::nullopt;
    ActionOutcome outcome = failed ? std::move(*failed) : act(action);
    if (outcome.observed) observed = outcome.observed;
    record(memory, action, outcome, now);
  }
}

const Decision& Rig::settle(int limit) {
  decide();
  while (!running.empty()) {
    if (--limit < 0) throw std::runtime_error("does not settle: " + last.explanation);
    finish();
    decide();
  }
  return last;
}

bool Rig::wake() {
  if (!last.wake_at) return false;
  now = std::max(now, *last.wake_at);
  settle();
  return true;
}

model::ObservedContainer* Rig::find(const std::string& name) {
  return const_cast<model::ObservedContainer*>(newest_instance(runtime, name));
}

void Rig::exit(const std::string& name, int code, std::string reason) {
  auto* c = find(name);
  if (c == nullptr) throw std::runtime_error("no instance of " + name);
  c->state = model::RunState::kExited;
  c->exit_code = code;
  c->reason = !reason.empty() ? reason : code == 0 ? "Completed" : "Error";
  c->finished_at = now;
  c->pid = 0;
  observed = runtime;
}

void Rig::probe(const std::string& name, ProbeKind kind, ProbeResult result, const std::string& output) {
  record(memory, ProbeDone{{name, find(name)->id, kind}, result, output}, desired, now);
}

void Rig::restart_agent() {
  desired.status = last.status;
  memory = PodMemory{};
  running.clear();
  observed = runtime;
}

const model::ContainerStatus& Rig::shown(const std::string& name) const {
  const auto* found = find_status(last.status, name);
  if (found == nullptr) throw std::runtime_error("no status of " + name);
  return *found;
}

const model::Condition& Rig::condition(std::string_view type) const {
  const auto* found = find_condition(last.status, type);
  if (found == nullptr) throw std::runtime_error("no condition " + std::string(type));
  return *found;
}

std::vector<std::string> Rig::told() const {
  std::vector<std::string> lines;
  for (const auto& e : events)
    lines.push_back(fmt::format("{} {}: {}", e.type == model::EventType::kNormal ? "Normal" : "Warning", e.reason, e.message));
  return lines;
}

bool Rig::was_told(const std::string& text) const {
  const auto lines = told();
  return std::find(lines.begin(), lines.end(), text) != lines.end();
}

int Rig::count(const std::string& prefix) const {
  return static_cast<int>(std::count_if(log.begin(), log.end(), [&](const auto& line) { return line.starts_with(prefix); }));
}

int Rig::index(const std::string& prefix) const {
  const auto found = std::find_if(log.begin(), log.end(), [&](const auto& line) { return line.starts_with(prefix); });
  return found == log.end() ? -1 : static_cast<int>(found - log.begin());
}

ActionOutcome Rig::act(const Action& action) {
  ActionOutcome out;
  const auto read_back = [&] { out.observed = runtime; };
  std::visit(Overloaded{
                 [&](const FindCgroup&) { out.value = CgroupReady{CgroupId(7), "/kubepods/poduid-1", {}}; },
                 [&](const EnsureCgroup&) { out.value = CgroupReady{CgroupId(7), "/kubepods/poduid-1", "/kubepods/poduid-1"}; },
                 [&](const AttachPrograms&) {
                   model::AttachReport report;
                   report.cgroup_id = CgroupId(7);
                   for (const auto hook : model::kDefaultHooks) {
                     model::HookStatus status;
                     status.hook = hook;
                     status.state = hooks_refused ? model::HookState::kRefused : model::HookState::kAttached;
                     if (hooks_refused) status.error = "operation not permitted";
                     report.hooks.push_back(status);
                   }
                   report.programs = programs;
                   report.notes = notes;
                   out.value = report;
                 },
                 [&](const EnsureImage&) {
                   out.value = model::ImageInfo{
                       .id = "sha256:aa", .repo_tags = {}, .repo_digests = {}, .size_bytes = 10, .uid = {}, .username = {}};
                   out.pulled = image_is_pulled;
                   out.took = 1500ms;
                 },
                 [&](const RunSandbox& a) {
                   model::ObservedSandbox s;
                   s.id = SandboxId(fmt::format("s{}", next_id_++));
                   s.attempt = a.attempt;
                   s.state = model::SandboxState::kReady;
                   s.created_at = now;
                   s.host_network = desired.spec.host_network;
                   if (!s.host_network) s.ips = {"10.244.0.5"};
                   runtime.sandboxes.insert(runtime.sandboxes.begin(), s);
                   read_back();
                 },
                 [&](const StartContainer& a) {
                   std::erase_if(runtime.containers, [&](const auto& c) {
                     return c.name == a.name && c.attempt == a.attempt && c.state == model::RunState::kCreated;
                   });
                   model::ObservedContainer c;
                   c.id = ContainerId(fmt::format("{}-{}-{}", a.name, a.attempt, next_id_++));
                   c.sandbox_id = runtime.sandboxes.empty() ? SandboxId{} : runtime.sandboxes.front().id;
                   c.name = a.name;
                   c.attempt = a.attempt;
                   c.state = model::RunState::kRunning;
                   c.created_at = c.started_at = now;
                   c.image = "busybox:1.36";
                   c.image_ref = "sha256:aa";
                   c.detailed = true;
                   for (const auto* list : {&desired.spec.containers, &desired.spec.init_containers})
                     for (const auto& spec : *list)
                       if (spec.name == a.name) c.annotations[std::string(model::kAnnotationHash)] = container_hash(spec);
                   runtime.containers.insert(runtime.containers.begin(), c);
                   read_back();
                 },
                 [&](const StopContainer& a) {
                   for (auto& c : runtime.containers)
                     if (c.id == a.id && c.state != model::RunState::kExited) {
                       c.state = model::RunState::kExited;
                       c.exit_code = 137;
                       c.reason = "Error";
                       c.finished_at = now;
                     }
                   read_back();
                 },
                 [&](const RemoveContainer& a) {
                   std::erase_if(runtime.containers, [&](const auto& c) { return c.id == a.id; });
                   read_back();
                 },
                 [&](const StopSandbox& a) {
                   for (auto& s : runtime.sandboxes)
                     if (s.id == a.id) s.state = model::SandboxState::kNotReady;
                   read_back();
                 },
                 [&](const RemoveSandbox& a) {
                   std::erase_if(runtime.sandboxes, [&](const auto& s) { return s.id == a.id; });
                   read_back();
                 },
                 [&](const InspectPod&) { read_back(); },
                 [](const auto&) {},
             },
             action);
  return out;
}

}  // namespace pintle::lifecycle::test
