// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The half of PolicyEngine that faces the cluster: what a change touches, and no more.
#include <algorithm>

#include <fmt/format.h>

#include "policy/engine_parts.h"

namespace pintle::policy {
namespace {

using model::NetworkPolicy;
using ports::ClusterKind;

std::string origin_of(const NetworkPolicy& policy) { return "networkpolicy:" + policy.full_name(); }

std::string_view plural(ClusterKind kind) {
  switch (kind) {
    case ClusterKind::kPolicies: return "networkpolicies";
    case ClusterKind::kNamespaces: return "namespaces";
    case ClusterKind::kPods: return "pods";
    case ClusterKind::kServices: return "services";
    case ClusterKind::kEndpointSlices: return "endpointslices";
  }
  return "";
}

// Whether compile() of this policy looks at pods with these labels.
bool sees(const NetworkPolicy& policy, const std::string& space, const model::StringMap& labels, const model::StringMap& space_labels) {
  const auto in_rules = [&](const std::vector<model::NetworkPolicyRule>& rules, bool names_of_others) {
    return std::ranges::any_of(rules, [&](const auto& rule) {
      if (rule.peers.empty()) return names_of_others && uses_named_ports({rule});
      return std::ranges::any_of(rule.peers, [&](const auto& peer) { return finds(policy, peer, space, labels, space_labels); });
    });
  };
  return (policy.isolates_ingress && in_rules(policy.ingress, false)) || (policy.isolates_egress && in_rules(policy.egress, true));
}

bool looks_at_namespaces(const NetworkPolicy& policy) {
  const auto in_rules = [](const std::vector<model::NetworkPolicyRule>& rules) {
    return std::ranges::any_of(rules, [](const auto& rule) {
      return std::ranges::any_of(rule.peers, [](const auto& peer) { return peer.namespaces.has_value(); });
    });
  };
  return in_rules(policy.ingress) || in_rules(policy.egress);
}

struct ObjectName {
  ClusterKind kind;
  std::string namespace_, name;
  auto operator<=>(const ObjectName&) const = default;
};
ObjectName name_of(const ports::ClusterObject& object) {
  struct Visitor {
    ObjectName operator()(const NetworkPolicy& o) const { return {ClusterKind::kPolicies, o.namespace_, o.name}; }
    ObjectName operator()(const model::NamespaceView& o) const { return {ClusterKind::kNamespaces, "", o.name}; }
    ObjectName operator()(const model::PodView& o) const { return {ClusterKind::kPods, o.namespace_, o.name}; }
    ObjectName operator()(const model::ServiceView& o) const { return {ClusterKind::kServices, o.namespace_, o.name}; }
    ObjectName operator()(const model::EndpointSliceView& o) const { return {ClusterKind::kEndpointSlices, o.namespace_, o.name}; }
  };
  return std::visit(Visitor(), object);
}

}  // namespace

void PolicyEngine::deliver(ports::ClusterChange change) {
  News news;
  Touched touched;
  {
    const MutexLock lock(mu_);
    if (auto* set = std::get_if<ports::ClusterSet>(&change)) {
      take_set(*set, touched, news);
    } else if (auto* one = std::get_if<ports::ClusterUpsert>(&change)) {
      take_object(one->object, touched, news);
    } else if (auto* gone = std::get_if<ports::ClusterGone>(&change)) {
      take_gone(*gone, touched, news);
    } else if (auto* unreadable = std::get_if<ports::ClusterUnreadable>(&change)) {
      take_unreadable(*unreadable, touched, news);
    } else if (const auto* trouble = std::get_if<ports::ClusterTrouble>(&change)) {
      report(news, std::string(plural(trouble->kind)), trouble->error);
    } else {  // ClusterUnwatched
      cluster_.clear();
      std::erase_if(listed_, [](ClusterKind kind) { return kind != ClusterKind::kPolicies; });
    }
    apply(touched, news);
  }
  tell(std::move(news));
  if (!touched.local_addresses || !out_.node_addresses) return;
  auto addresses = out_.node_addresses();
  News more;
  {
    const MutexLock lock(mu_);
    Touched again;
    set_node(std::move(addresses), again);
    if (again.all) apply(again, more);
  }
  tell(std::move(more));
}

void PolicyEngine::take_set(ports::ClusterSet& set, Touched& touched, News& news) {
  std::set<ObjectName> told;
  for (const auto& object : set.objects) told.insert(name_of(object));
  for (const auto& one : set.unreadable) told.insert({set.kind, one.namespace_, one.name});
  std::vector<ObjectName> gone;
  const auto consider = [&](std::string space, std::string name) {
    ObjectName one{set.kind, std::move(space), std::move(name)};
    if (!told.contains(one)) gone.push_back(std::move(one));
  };
  switch (set.kind) {
    case ClusterKind::kPolicies:
      for (const auto& [name, stored] : policies_) consider(stored.policy.namespace_, stored.policy.name);
      break;
    case ClusterKind::kNamespaces:
      for (const auto& [name, labels] : cluster_.namespaces()) consider("", name);
      break;
    case ClusterKind::kPods:
      for (const auto& [space, pods] : cluster_.pods())
        for (const auto& [name, pod] : pods) consider(space, name);
      break;
    case ClusterKind::kServices:
      for (const auto& [space, services] : cluster_.services())
        for (const auto& [name, service] : services) consider(space, name);
      break;
    case ClusterKind::kEndpointSlices:
      for (const auto& [space, services] : cluster_.services())
        for (const auto& [name, service] : services)
          for (const auto& [slice, view] : service.slices) consider(space, slice);
      break;
  }
  for (const auto& one : gone) take_gone({one.kind, one.namespace_, one.name}, touched, news);
  for (auto& object : set.objects) take_object(object, touched, news);
  for (auto& one : set.unreadable) take_unreadable(one, touched, news);
  listed_.insert(set.kind);
}

void PolicyEngine::take_object(ports::ClusterObject& object, Touched& touched, News& news) {
  if (auto* policy = std::get_if<NetworkPolicy>(&object)) return take_policy(std::move(*policy), "", touched, news);
  const auto name = name_of(object);
  if (name.kind != ClusterKind::kPolicies) report(news, fmt::format("{}:{}/{}", plural(name.kind), name.namespace_, name.name), "");
  if (const auto* pod = std::get_if<model::PodView>(&object)) {
    const auto* known = cluster_.find_pod(pod->namespace_, pod->name);
    const Labels before = known == nullptr ? nullptr : known->labels;
    if (!cluster_.set_pod(*pod)) return;
    if (before != nullptr) touch_pod(pod->namespace_, pod->name, before, touched);
    if (const auto* now = cluster_.find_pod(pod->namespace_, pod->name)) touch_pod(pod->namespace_, pod->name, now->labels, touched);
  } else if (const auto* space = std::get_if<model::NamespaceView>(&object)) {
    if (cluster_.set_namespace(*space)) touch_namespace(touched);
  } else if (const auto* service = std::get_if<model::ServiceView>(&object)) {
    if (cluster_.set_service(*service)) touch_services(touched);
  } else if (cluster_.set_slice(std::get<model::EndpointSliceView>(object))) {
    touch_services(touched);
  }
}

// Groups whose policies find such a pod, and the pod itself when it is one of this node's.
void PolicyEngine::touch_pod(const std::string& namespace_, const std::string& name, const Labels& labels, Touched& touched) {
  if (const auto local = local_names_.find({namespace_, name}); local != local_names_.end()) {
    touched.locals.insert(local->second);
    touched.local_addresses = true;
  }
  const auto space_labels = cluster_.namespace_labels(namespace_);
  for (const auto& [key, group] : groups_) {
    if (touched.groups.contains(key)) continue;
    for (const auto& policy : group.policies)
      if (const auto found = policies_.find(policy);
          found != policies_.end() && sees(found->second.policy, namespace_, *labels, space_labels)) {
        touched.groups.insert(key);
        break;
      }
  }
}

void PolicyEngine::touch_namespace(Touched& touched) {
  for (const auto& [key, group] : groups_)
    for (const auto& policy : group.policies)
      if (const auto found = policies_.find(policy); found != policies_.end() && looks_at_namespaces(found->second.policy))
        touched.groups.insert(key);
}

void PolicyEngine::touch_services(Touched& touched) {
  for (const auto& [key, group] : groups_)
    if (group.compiled.isolate_egress) touched.groups.insert(key);
}

void PolicyEngine::take_policy(NetworkPolicy policy, std::string error, Touched& touched, News& news) {
  const std::string name = policy.full_name();
  report(news, origin_of(policy), error, &policy);
  const auto known = policies_.find(name);
  if (known != policies_.end() && known->second.policy == policy) {
    known->second.error = std::move(error);
    return;
  }
  for (const auto& [uid, local] : locals_) {
    const bool was = known != policies_.end() && selects(known->second.policy, local.namespace_, local.labels);
    if (was || selects(policy, local.namespace_, local.labels)) touched.locals.insert(uid);
  }
  for (const auto& [key, group] : groups_)
    if (std::ranges::find(group.policies, name) != group.policies.end()) touched.groups.insert(key);
  policies_.insert_or_assign(name, StoredPolicy{std::move(policy), std::move(error)});
}

void PolicyEngine::take_unreadable(ports::ClusterUnreadable& one, Touched& touched, News& news) {
  if (one.kind != ClusterKind::kPolicies)
    return report(news, fmt::format("{}:{}/{}", plural(one.kind), one.namespace_, one.name), one.error);
  const auto known = policies_.find(one.namespace_ + "/" + one.name);
  if (known == policies_.end())
    return take_policy(std::move(one.closed), fmt::format("{}; the pods that it selects are closed until it can be read", one.error),
                       touched, news);
  // Fail safe: neither forgotten nor guessed at.
  known->second.error = fmt::format("{}; its last version that could be read stays in force", one.error);
  report(news, origin_of(known->second.policy), known->second.error, &known->second.policy);
}

void PolicyEngine::take_gone(const ports::ClusterGone& gone, Touched& touched, News& news) {
  if (gone.kind != ClusterKind::kPolicies) report(news, fmt::format("{}:{}/{}", plural(gone.kind), gone.namespace_, gone.name), "");
  switch (gone.kind) {
    case ClusterKind::kPolicies: {
      const auto known = policies_.find(gone.namespace_ + "/" + gone.name);
      if (known == policies_.end()) return;
      report(news, origin_of(known->second.policy), "", &known->second.policy);
      for (const auto& [uid, local] : locals_)
        if (selects(known->second.policy, local.namespace_, local.labels)) touched.locals.insert(uid);
      policies_.erase(known);
      return;
    }
    case ClusterKind::kPods: {
      const auto* known = cluster_.find_pod(gone.namespace_, gone.name);
      if (known == nullptr) return;
      const Labels labels = known->labels;
      (void)cluster_.remove_pod(gone.namespace_, gone.name);
      return touch_pod(gone.namespace_, gone.name, labels, touched);
    }
    case ClusterKind::kNamespaces:
      if (cluster_.remove_namespace(gone.name)) touch_namespace(touched);
      return;
    case ClusterKind::kServices:
      if (cluster_.remove_service(gone.namespace_, gone.name)) touch_services(touched);
      return;
    case ClusterKind::kEndpointSlices:
      if (cluster_.remove_slice(gone.namespace_, gone.name)) touch_services(touched);
      return;
  }
}

}  // namespace pintle::policy
