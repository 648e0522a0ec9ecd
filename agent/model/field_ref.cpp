// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "model/field_ref.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

namespace pintle::model {
namespace {

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\n': out += "\\n"; break;
      case '\t': out += "\\t"; break;
      case '\r': out += "\\r"; break;
      default: out += c;
    }
  }
  return out + '"';
}

std::string lines(const StringMap& map) {
  std::string out;
  for (const auto& [key, value] : map) out += fmt::format("{}{}={}", out.empty() ? "" : "\n", key, quoted(value));
  return out;
}

// metadata.labels['key'] -> key
std::optional<std::string> subscript(const std::string& path, std::string_view prefix) {
  if (!path.starts_with(prefix) || !path.ends_with("']") || path.size() < prefix.size() + 4) return std::nullopt;
  if (path.compare(prefix.size(), 2, "['") != 0) return std::nullopt;
  return path.substr(prefix.size() + 2, path.size() - prefix.size() - 4);
}

std::string value_or_empty(const StringMap& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? "" : found->second;
}

const Container* find_container(const Pod& pod, const std::string& name) {
  for (const auto* list : {&pod.spec.containers, &pod.spec.init_containers})
    for (const auto& container : *list)
      if (container.name == name) return &container;
  return nullptr;
}

}  // namespace

Result<std::string> resolve_field(const Pod& pod, const std::string& path, const FieldContext& context) {
  const auto first = [](const std::vector<std::string>& list) { return list.empty() ? std::string() : list.front(); };
  if (path == "metadata.name") return pod.metadata.name;
  if (path == "metadata.namespace") return pod.metadata.namespace_;
  if (path == "metadata.uid") return pod.metadata.uid;
  if (path == "metadata.labels") return lines(pod.metadata.labels);
  if (path == "metadata.annotations") return lines(pod.metadata.annotations);
  if (path == "spec.nodeName") return context.node_name;
  if (path == "spec.serviceAccountName") return pod.spec.service_account_name;
  if (path == "status.hostIP") return first(context.host_ips);
  if (path == "status.hostIPs") return fmt::format("{}", fmt::join(context.host_ips, ","));
  if (path == "status.podIP") return first(context.pod_ips);
  if (path == "status.podIPs") return fmt::format("{}", fmt::join(context.pod_ips, ","));
  if (const auto key = subscript(path, "metadata.labels")) return value_or_empty(pod.metadata.labels, *key);
  if (const auto key = subscript(path, "metadata.annotations")) return value_or_empty(pod.metadata.annotations, *key);
  return fail(Code::kInvalid,
              fmt::format("fieldPath '{}' is not supported (metadata.name, metadata.labels['key'], spec.nodeName, status.podIP …)", path));
}

Result<std::string> resolve_resource(const Pod& pod, const Container* container, const ResourceFieldRef& ref, const FieldContext& context) {
  const Container* target = ref.container_name.empty() ? container : find_container(pod, ref.container_name);
  if (target == nullptr)
    return fail(Code::kInvalid, fmt::format("resourceFieldRef names container '{}', which the pod does not have", ref.container_name));
  const auto dot = ref.resource.find('.');
  const std::string kind = ref.resource.substr(0, dot);
  if (dot == std::string::npos || (kind != "limits" && kind != "requests"))
    return fail(Code::kInvalid, fmt::format("resource '{}' is not supported (limits.cpu, limits.memory, requests.cpu …)", ref.resource));
  const std::string name = ref.resource.substr(dot + 1);
  const auto& own = kind == "limits" ? target->resources.limits : target->resources.requests;
  Quantity amount;
  if (const auto found = own.find(name); found != own.end()) {
    amount = found->second;
  } else if (kind == "limits") {
    if (const auto node = context.allocatable.find(name); node != context.allocatable.end()) amount = node->second;
  }
  const int64_t divisor = ref.divisor && !ref.divisor->is_zero() ? ref.divisor->milli() : 1000;
  return fmt::format("{}", amount.milli() / divisor + (amount.milli() % divisor > 0 ? 1 : 0));
}

}  // namespace pintle::model
