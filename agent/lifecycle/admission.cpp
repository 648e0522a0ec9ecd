// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/admission.h"

#include <algorithm>

#include <fmt/format.h>

#include "lifecycle/instances.h"

namespace pintle::lifecycle {
namespace {

void add(model::ResourceList& sum, const model::ResourceList& more) {
  for (const auto& [name, amount] : more) sum[name] = Quantity::from_milli(sum[name].milli() + amount.milli());
}
void raise_to(model::ResourceList& peak, const model::ResourceList& other) {
  for (const auto& [name, amount] : other)
    if (peak[name] < amount) peak[name] = amount;
}

// A limit alone counts as a request, as the API's defaulting says.
model::ResourceList requests_of(const model::Container& container) {
  model::ResourceList requests = container.resources.limits;
  for (const auto& [name, amount] : container.resources.requests) requests[name] = amount;
  return requests;
}

int64_t shown(const std::string& resource, const Quantity& amount) { return resource == "cpu" ? amount.milli() : amount.value(); }

std::optional<Refusal> lacks(const std::string& resource, int64_t requested, int64_t used, int64_t capacity) {
  return Refusal{"OutOf" + resource, fmt::format("Node didn't have enough resource: {}, requested: {}, used: {}, capacity: {}", resource,
                                                 requested, used, capacity)};
}

// Row 8.6. A resource the node does not publish is somebody else's (extended resources).
std::optional<Refusal> fits(const PodView& view) {
  const auto& allocatable = view.node->allocatable;
  if (const auto pods = allocatable.find("pods"); pods != allocatable.end() && view.pods_on_node + 1 > pods->second.value())
    return lacks("pods", 1, view.pods_on_node, pods->second.value());
  static const model::ResourceList kNothing;
  const auto& others = view.requested_by_others == nullptr ? kNothing : *view.requested_by_others;
  for (const auto& [name, amount] : pod_requests(view.desired->spec)) {
    const auto has = allocatable.find(name);
    if (has == allocatable.end() || amount.is_zero()) continue;
    const auto used = others.find(name);
    const int64_t taken = used == others.end() ? 0 : used->second.milli();
    if (amount.milli() > has->second.milli() - taken)
      return lacks(name, shown(name, amount), used == others.end() ? 0 : shown(name, used->second), shown(name, has->second));
  }
  return std::nullopt;
}

bool tolerates(const model::PodSpec& spec, const model::Taint& taint) {
  return std::any_of(spec.tolerations.begin(), spec.tolerations.end(), [&](const auto& t) {
    if (!t.effect.empty() && t.effect != taint.effect) return false;
    if (!t.key.empty() && t.key != taint.key) return false;
    if (t.op == "Exists") return true;
    return !t.key.empty() && (t.op.empty() || t.op == "Equal") && t.value == taint.value;
  });
}

bool is_static(const model::Pod& pod) {
  const auto source = pod.metadata.annotations.find("kubernetes.io/config.source");
  return source != pod.metadata.annotations.end() && source->second != "api";
}

}  // namespace

model::ResourceList pod_requests(const model::PodSpec& spec) {
  model::ResourceList running, sidecars, peak;
  for (const auto& container : spec.containers) add(running, requests_of(container));
  for (const auto& init : spec.init_containers) {
    model::ResourceList need = requests_of(init);
    if (is_sidecar(init)) {
      add(running, need);
      add(sidecars, need);
      raise_to(peak, sidecars);
    } else {
      add(need, sidecars);  // those begun before it run beside it
      raise_to(peak, need);
    }
  }
  raise_to(running, peak);
  add(running, spec.overhead);
  return running;
}

std::optional<Refusal> admit(const PodView& view) {
  const auto& pod = *view.desired;
  const auto& spec = pod.spec;
  const auto& labels = view.node->labels;
  if (const auto os = spec.node_selector.find("kubernetes.io/os"); os != spec.node_selector.end() && os->second != "linux")
    return Refusal{"PodOSSelectorNodeLabelDoesNotMatch", "Failed to admit pod as the `kubernetes.io/os` label doesn't match node label"};
  // Running it in the host's user namespace would be less than it asked for.
  if (spec.host_users.has_value() && !*spec.host_users)
    return Refusal{"PodFeatureUnsupported", "Failed to admit pod: user namespaces (hostUsers: false) are not supported"};
  if (auto refusal = fits(view)) return refusal;
  for (const auto& [key, value] : spec.node_selector) {
    const auto label = labels.find(key);
    if (label == labels.end() || label->second != value)
      return Refusal{"NodeAffinity", "Predicate NodeAffinity failed: node(s) didn't match Pod's node affinity/selector"};
  }
  if (!spec.node_name.empty() && spec.node_name != view.node->node_name)
    return Refusal{"NodeName", "Predicate NodeName failed: node(s) didn't match the requested node name"};
  if (is_static(pod)) return std::nullopt;
  for (const auto& taint : view.node->taints)
    if (taint.effect == "NoExecute" && !tolerates(spec, taint))
      return Refusal{"TaintToleration",
                     fmt::format("Predicate TaintToleration failed: node(s) had untolerated taint {{{}: {}}}", taint.key, taint.value)};
  return std::nullopt;
}

}  // namespace pintle::lifecycle
