// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The half of PolicyEngine that faces people.
#include <algorithm>

#include <fmt/format.h>

#include "policy/engine_parts.h"
#include "policy/evaluate.h"

namespace pintle::policy {

using model::Enforcement;

std::vector<ports::PodPolicy> PolicyEngine::list_policies() {
  const MutexLock lock(mu_);
  std::vector<ports::PodPolicy> out;
  for (const auto& [uid, local] : locals_) {
    ports::PodPolicy row{.uid = uid, .namespace_ = local.namespace_, .name = local.name, .ingress_policies = {}, .egress_policies = {}};
    if (const auto group = groups_.find(local.group); group != groups_.end()) {
      for (const auto& name : group->second.policies) {
        const auto found = policies_.find(name);
        if (found == policies_.end()) continue;
        if (found->second.policy.isolates_ingress) row.ingress_policies.push_back(found->second.policy.name);
        if (found->second.policy.isolates_egress) row.egress_policies.push_back(found->second.policy.name);
        if (!found->second.error.empty())
          row.problem += fmt::format("{}policy '{}': {}", row.problem.empty() ? "" : "; ", name, found->second.error);
      }
    }
    if (!local.problem.empty()) row.problem = local.problem + (row.problem.empty() ? "" : "; " + row.problem);
    if (local.plan) {
      row.isolate_ingress = local.plan->isolate_ingress;
      row.isolate_egress = local.plan->isolate_egress;
      row.enforcement = local.plan->network;
      row.rows_id = local.plan->network_policy;
    }
    if (const auto* rows = sets_.rows(row.rows_id)) row.rows = *rows;
    row.in_force_since = local.in_force_since;
    if (!local.settings && row.problem.empty()) row.problem = local.settings.error().message();
    out.push_back(std::move(row));
  }
  return out;
}

Result<PolicyEngine::End> PolicyEngine::find_end(const std::string& text) const {
  End end{.text = text, .ips = {}};
  std::string name = text;
  if (const auto address = model::parse_ip(text)) {
    end.ips.push_back(*address);
    name = cluster_.pod_at(*address);
    if (name.empty()) return end;
  }
  const size_t slash = name.find('/');
  if (slash != std::string::npos) {
    const std::string space = name.substr(0, slash), pod = name.substr(slash + 1);
    const auto local = local_names_.find({space, pod});
    if (local != local_names_.end()) end.local = &locals_.at(local->second);
    const auto* known = cluster_.find_pod(space, pod);
    if (known != nullptr && end.ips.empty()) end.ips = known->ips;
    if (end.local != nullptr && end.ips.empty()) end.ips = end.local->host_ips;
    if (known != nullptr || end.local != nullptr) return end;
  }
  return fail(Code::kNotFound,
              fmt::format("'{}' is neither an address nor a pod known here (NAMESPACE/POD); {}", text,
                          policies_.empty() ? "without network policies only this node's pods are known"
                                            : "of one in another node's network give that node's address, as which policies see it"));
}

ports::FlowSide PolicyEngine::side_of(const End& subject, const End& other, const ports::FlowQuestion& question, bool ingress) const {
  if (subject.local == nullptr) return {false, true, fmt::format("'{}' is no pod of this node: decided where it is", subject.text)};
  const Local& local = *subject.local;
  ports::FlowSide side{.decided_here = true, .allowed = true, .reason = {}};
  if (local.host_network) return {true, true, "it uses the node's network, which policies do not isolate"};
  const auto enforcement = local.plan ? local.plan->network : local.settings ? local.settings->network_policy : Enforcement::kOff;
  const auto group = groups_.find(local.group);
  if (group == groups_.end()) return {true, true, "no policy selects it"};
  if (local.settings && local.settings->network_policy == Enforcement::kOff) return {true, true, "network policy is off for it"};
  if (other.ips.empty()) return {true, false, fmt::format("'{}' has no address yet, so no rule can match", other.text)};
  Subject who = subject_of(group->second);
  who.own = own_addresses(local);
  const Flow flow{.ingress = ingress, .peer = other.ips.front(), .protocol = question.protocol, .port = question.port};
  const auto opinion = evaluate(who, cluster_, node_, flow);
  side.allowed = opinion.allowed;
  side.reason = opinion.reason;
  // What is in force may be older than what the policies say.
  const bool isolated = ingress ? group->second.compiled.isolate_ingress : group->second.compiled.isolate_egress;
  const bool itself = std::ranges::find(who.own, flow.peer) != who.own.end();
  if (const auto* rows = sets_.rows(local.rows_id); rows != nullptr && isolated && !itself) {
    side.allowed = allows(ingress ? rows->ingress : rows->egress, flow.peer, flow.protocol, flow.port);
    if (side.allowed != opinion.allowed) side.reason += fmt::format(", but older rules are in force: {}", local.problem);
  }
  if (!side.allowed && enforcement == Enforcement::kAudit) {
    side.allowed = true;
    side.reason += "; it is only audited";
  }
  return side;
}

Result<ports::FlowAnswer> PolicyEngine::test_flow(const ports::FlowQuestion& question) {
  const MutexLock lock(mu_);
  PINTLE_ASSIGN_OR_RETURN(const End from, find_end(question.from));
  PINTLE_ASSIGN_OR_RETURN(const End to, find_end(question.to));
  ports::FlowAnswer answer;
  answer.egress = side_of(from, to, question, false);
  answer.ingress = side_of(to, from, question, true);
  answer.allowed = answer.egress.allowed && answer.ingress.allowed;
  return answer;
}

}  // namespace pintle::policy
