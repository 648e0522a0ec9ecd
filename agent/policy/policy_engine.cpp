// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The half that faces this node's pods: who is under which rows, and what each one's plan is.
#include "policy/policy_engine.h"

#include <algorithm>

#include <fmt/format.h>

#include "policy/engine_parts.h"

namespace pintle::policy {

using model::Enforcement;
using model::ProgramPlan;

PolicyEngine::PolicyEngine(ports::PolicyTables& tables, const Clock& clock, EngineOptions options, EngineOutputs outputs)
    : clock_(clock), options_(std::move(options)), out_(std::move(outputs)), sets_(tables, options_.hash) {}

// --- what is told, without the lock ---

void PolicyEngine::tell(News news) {
  for (const auto& problem : news.problems)
    if (out_.problem) out_.problem(problem);
  for (const auto& uid : news.changed)
    if (out_.plan_changed) out_.plan_changed(uid);
}

void PolicyEngine::report(News& news, const std::string& origin, const std::string& error, const model::NetworkPolicy* policy) {
  if (error.empty() && problems_.erase(origin) == 0) return;
  if (!error.empty()) problems_.insert(origin);
  PolicyProblem problem{.origin = origin, .error = error, .namespace_ = {}, .name = {}, .uid = {}};
  if (policy != nullptr) {
    problem.namespace_ = policy->namespace_;
    problem.name = policy->name;
    problem.uid = policy->uid;
  }
  news.problems.push_back(std::move(problem));
}

bool PolicyEngine::ready() const {
  if (options_.defaults.network_policy == Enforcement::kOff) return true;
  if (!listed_.contains(ports::ClusterKind::kPolicies)) return false;
  return policies_.empty() || listed_.size() == std::size(ports::kAllClusterKinds);
}

bool PolicyEngine::synced() const {
  const MutexLock lock(mu_);
  return ready();
}

PolicyEngine::Work PolicyEngine::work() const {
  const MutexLock lock(mu_);
  return {compiles_, sets_.pushes()};
}

// --- this node's pods ---

std::vector<model::IpAddress> PolicyEngine::host_addresses(const model::Pod& pod) const {
  std::vector<model::IpAddress> out;
  if (!pod.spec.host_network) return out;
  for (const auto& text : pod.status.pod_ips)
    if (const auto address = model::parse_ip(text)) out.push_back(*address);
  return out.empty() ? node_ : out;
}

PolicyEngine::Local& PolicyEngine::take(const model::Pod& pod) {
  const PodUid uid = pod.uid();
  Local fresh{.namespace_ = pod.metadata.namespace_,
              .name = pod.metadata.name,
              .labels = pod.metadata.labels,
              .ports = model::named_ports(pod.spec),
              .host_network = pod.spec.host_network,
              .host_ips = host_addresses(pod),
              .settings = model::settings_for(pod.metadata.annotations, options_.defaults),
              .group = {},
              .plan = {},
              .problem = {}};
  if (fresh.settings && options_.defaults.network_policy == Enforcement::kOff) {
    if (fresh.settings->network_policy != Enforcement::kOff)
      fresh.settings =
          fail(Code::kInvalid, fmt::format("annotation {}: \"{}\": network policy is off on this node (pintle.ebpf.networkPolicy); "
                                           "remove the annotation or set it to off",
                                           model::kNetworkPolicyAnnotation, to_string(fresh.settings->network_policy)));
  }
  const auto off = pod.metadata.annotations.find(std::string(model::kEbpfPolicyAnnotation));
  fresh.wants_programs = off == pod.metadata.annotations.end() || off->second != to_string(model::EbpfPolicy::kOff);
  const auto [at, is_new] = locals_.try_emplace(uid, std::move(fresh));
  if (is_new) {
    local_names_[{at->second.namespace_, at->second.name}] = uid;
    return at->second;
  }
  Local& known = at->second;
  // Beside a kubelet a pod may be known by its cgroup alone at first, without names.
  if (known.namespace_ != fresh.namespace_ || known.name != fresh.name) {
    forget_name(uid, known);
    known.namespace_ = std::move(fresh.namespace_);
    known.name = std::move(fresh.name);
  }
  local_names_[{known.namespace_, known.name}] = uid;
  known.labels = std::move(fresh.labels);
  known.ports = std::move(fresh.ports);
  known.host_network = fresh.host_network;
  known.host_ips = std::move(fresh.host_ips);
  known.settings = std::move(fresh.settings);
  known.wants_programs = fresh.wants_programs;
  return known;
}

void PolicyEngine::forget_name(const PodUid& uid, const Local& local) {
  const auto name = local_names_.find({local.namespace_, local.name});
  if (name != local_names_.end() && name->second == uid) local_names_.erase(name);
}

void PolicyEngine::set_pod(const model::Pod& pod) {
  News news;
  {
    const MutexLock lock(mu_);
    Local& local = take(pod);
    local.told = true;
    replan(pod.uid(), local, news);
    tidy(news);
  }
  tell(std::move(news));
}

void PolicyEngine::remove_pod(const PodUid& uid) {
  {
    const MutexLock lock(mu_);
    const auto found = locals_.find(uid);
    // Its programs live until its cgroup goes, and with them its plan.
    if (found == locals_.end() || found->second.plan) return;
  }
  forget(uid);
}

void PolicyEngine::set_pods_ready() {
  News news;
  {
    const MutexLock lock(mu_);
    pods_ready_ = true;
    tidy(news);
  }
  tell(std::move(news));
}

Result<ProgramPlan> PolicyEngine::plan_for(const model::Pod& pod) {
  auto addresses = out_.node_addresses ? out_.node_addresses() : std::vector<model::IpAddress>();
  News news;
  Result<ProgramPlan> plan = fail(Code::kInternal, "no plan");
  {
    const MutexLock lock(mu_);
    Touched touched;
    set_node(std::move(addresses), touched);
    apply(touched, news);
    const auto known = locals_.find(pod.uid());
    Local& local = known != locals_.end() && known->second.told ? known->second : take(pod);
    plan = make_plan(pod.uid(), local);
    local.refused = !plan;
    if (plan) {
      if (local.plan != *plan) local.in_force_since = clock_.now();
      local.plan = *plan;
    }
    report(news, fmt::format("networkpolicy-rows:{}/{}", local.namespace_, local.name), local.problem);
    std::erase(news.changed, pod.uid());  // it asks just now
    tidy(news);
  }
  tell(std::move(news));
  return plan;
}

void PolicyEngine::forget(const PodUid& uid) {
  News news;
  {
    const MutexLock lock(mu_);
    const auto found = locals_.find(uid);
    if (found == locals_.end()) return;
    report(news, fmt::format("networkpolicy-rows:{}/{}", found->second.namespace_, found->second.name), "");
    leave_group(uid, found->second);
    forget_name(uid, found->second);
    locals_.erase(found);
    tidy(news);
  }
  tell(std::move(news));
}

// --- groups and rows ---

void PolicyEngine::leave_group(const PodUid& uid, Local& local) {
  const auto at = groups_.find(local.group);
  local.group.clear();
  local.rows_id = 0;
  if (at == groups_.end()) return;
  Group& group = at->second;
  group.members.erase(uid);
  if (group.members.empty()) {
    groups_.erase(at);
  } else if (group.members.size() == 1) {  // it alone now: its own address may join its rows
    group.shared_in_force = false;
    (void)push_rows(*group.members.begin(), locals_.at(*group.members.begin()));  // the rows in force are good ones: ignoring
  }
}

// Puts the pod where the policies that select it now put it.
void PolicyEngine::regroup(const PodUid& uid, Local& local) {
  Group wanted{.policies = {}, .namespace_ = local.namespace_, .ports = {}, .members = {}, .compiled = {}};
  bool named_ports = false;
  const bool subject = !local.host_network && options_.defaults.network_policy != Enforcement::kOff;
  for (auto at = policies_.lower_bound(local.namespace_ + "/"); subject && at != policies_.end(); ++at) {
    const auto& policy = at->second.policy;
    if (policy.namespace_ != local.namespace_) break;
    if (!selects(policy, local.namespace_, local.labels)) continue;
    wanted.policies.push_back(at->first);
    named_ports = named_ports || uses_named_ports(policy.ingress);
  }
  if (wanted.policies.empty()) {
    if (!local.group.empty()) leave_group(uid, local);
    return;
  }
  std::string key = "in " + local.namespace_;
  for (const auto& name : wanted.policies) key += "\n" + name;
  if (named_ports) {
    wanted.ports = local.ports;
    for (const auto& port : local.ports) key += fmt::format("\n:{} {}/{}", port.name, port.port, port.protocol);
  }
  if (key == local.group) return;
  if (!local.group.empty()) leave_group(uid, local);
  const auto [at, is_new] = groups_.try_emplace(key, std::move(wanted));
  at->second.members.insert(uid);
  local.group = key;
  if (is_new)
    (void)recompile(at->second);
  else
    at->second.shared_in_force = false;
}

Subject PolicyEngine::subject_of(const Group& group) const {
  Subject subject{.namespace_ = group.namespace_, .policies = {}, .ports = group.ports, .own = {}};
  for (const auto& name : group.policies)
    if (const auto found = policies_.find(name); found != policies_.end()) subject.policies.push_back(&found->second.policy);
  return subject;
}

bool PolicyEngine::recompile(Group& group) {
  ++compiles_;
  Compiled fresh = compile(subject_of(group), cluster_, node_);
  if (fresh == group.compiled) return false;
  group.compiled = std::move(fresh);
  group.shared_in_force = false;
  return true;
}

std::vector<model::IpAddress> PolicyEngine::own_addresses(const Local& local) const {
  const auto* pod = cluster_.find_pod(local.namespace_, local.name);
  return pod == nullptr ? std::vector<model::IpAddress>() : pod->ips;
}

Status PolicyEngine::push_rows(const PodUid& uid, Local& local) {
  Group& group = groups_.at(local.group);
  const bool own_set = group.compiled.isolate_egress && group.compiled.rows.egress.peers.size() <= kPrivateRows;
  local.rows_id = sets_.id_of(own_set ? fmt::format("{}\npod {}", local.group, uid.value()) : local.group);
  if (!own_set && group.shared_in_force) return {};
  if (!own_set && group.members.size() > 1) {
    PINTLE_TRY(sets_.push(local.rows_id, group.compiled.rows));
    group.shared_in_force = true;
    return {};
  }
  model::PolicyRows rows = group.compiled.rows;
  const auto own = own_addresses(local);
  if (group.compiled.isolate_ingress) open_to(rows.ingress, own);
  if (group.compiled.isolate_egress) open_to(rows.egress, own);
  return sets_.push(local.rows_id, rows);
}

// --- plans ---

Result<ProgramPlan> PolicyEngine::make_plan(const PodUid& uid, Local& local) {
  local.problem.clear();
  if (!local.settings) return std::unexpected(local.settings.error());
  const auto& settings = *local.settings;
  ProgramPlan plan = plan_from(settings);
  const bool closed = settings.network_policy_failure == model::PolicyFailure::kClosed;
  if (settings.network_policy == Enforcement::kOff || local.host_network) return plan;
  if (!ready()) {
    if (local.plan) {  // what it is under stays until all is known
      plan.network_policy = local.plan->network_policy;
      plan.isolate_ingress = local.plan->isolate_ingress;
      plan.isolate_egress = local.plan->isolate_egress;
      if (plan.network_policy != 0) plan.network = settings.network_policy;
    } else if (closed) {
      return fail(
          Code::kUnavailable,
          fmt::format("the cluster's network policies are not known yet{}; the pod is held until they are ({}: closed)",
                      problems_.contains("networkpolicies") ? " (see 'pintlectl status')" : "", model::kNetworkPolicyFailureAnnotation));
    }
    plan.hooks = model::hooks_for(plan);
    return plan;
  }
  regroup(uid, local);
  if (local.group.empty()) return plan;
  if (const auto pushed = push_rows(uid, local); !pushed) {
    local.problem = fmt::format("the rules of its network policies could not be written: {}", pushed.error().message());
    // Without eBPF the attach fails by itself, and whether the pod runs without is another annotation's to say.
    const bool attach_will_tell = pushed.error().code == Code::kUnsupported;
    if (!sets_.in_force(local.rows_id) && !closed) return plan;
    if (!sets_.in_force(local.rows_id) && !attach_will_tell) return fail(Code::kUnavailable, local.problem);
  }
  plan.network_policy = local.rows_id;
  plan.isolate_ingress = groups_.at(local.group).compiled.isolate_ingress;
  plan.isolate_egress = groups_.at(local.group).compiled.isolate_egress;
  plan.network = settings.network_policy;
  plan.hooks = model::hooks_for(plan);
  return plan;
}

void PolicyEngine::replan(const PodUid& uid, Local& local, News& news) {
  // Also of a pod that has not asked yet: programs pinned by an earlier run look at these rows.
  const uint64_t pushes = sets_.pushes();
  const auto plan = make_plan(uid, local);
  report(news, fmt::format("networkpolicy-rows:{}/{}", local.namespace_, local.name), local.problem);
  if (sets_.pushes() != pushes) local.in_force_since = clock_.now();
  const bool asked = local.plan || local.refused;
  if (!asked) return;
  if (plan ? local.refused || local.plan != *plan : local.plan && !local.refused) news.changed.push_back(uid);
}

void PolicyEngine::set_node(std::vector<model::IpAddress> addresses, Touched& touched) {
  std::ranges::sort(addresses);
  if (addresses == node_) return;
  node_ = std::move(addresses);
  touched.all = true;
}

void PolicyEngine::apply(const Touched& touched, News& news) {
  const bool is_ready = ready(), was_ready = std::exchange(was_ready_, is_ready);
  if (!is_ready) return;
  std::set<PodUid> locals = touched.locals;
  for (auto& [key, group] : groups_) {
    if (!touched.all && was_ready && !touched.groups.contains(key)) continue;
    if (recompile(group)) locals.insert(group.members.begin(), group.members.end());
  }
  for (auto& [uid, local] : locals_)
    if (!was_ready || locals.contains(uid)) replan(uid, local, news);
  tidy(news);
}

// Rows that no plan names any more, ours and those of an earlier run: dropped when every pod here has told its plan.
void PolicyEngine::tidy(News& news) {
  if (!ready() || !pods_ready_) return;
  std::set<uint32_t> named;
  for (const auto& [uid, local] : locals_) {
    if (local.wants_programs && !local.plan) return;
    if (local.rows_id != 0) named.insert(local.rows_id);
    if (local.plan && local.plan->network_policy != 0) named.insert(local.plan->network_policy);
  }
  const auto kept = sets_.keep(named, clock_.steady());
  const bool quiet = !kept && kept.error().code == Code::kUnsupported;
  report(news, "networkpolicy-rows", kept || quiet ? "" : fmt::format("drop rules that no pod is under: {}", kept.error().message()));
}

}  // namespace pintle::policy
