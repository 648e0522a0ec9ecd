// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/applier.h"

#include <algorithm>

#include <fmt/format.h>

#include "codec/manifest.h"

namespace pintle::app {
namespace {

struct Kind {
  std::string_view kind, plural, group_path;
  bool namespaced;
};
constexpr Kind kKinds[] = {
    {"Pod", "pods", "/api/v1", true},
    {"ConfigMap", "configmaps", "/api/v1", true},
    {"Secret", "secrets", "/api/v1", true},
    {"Event", "events", "/api/v1", true},
    {"Namespace", "namespaces", "/api/v1", false},
    {"Node", "nodes", "/api/v1", false},
    {"ServiceAccount", "serviceaccounts", "/api/v1", true},
    {"Lease", "leases", "/apis/coordination.k8s.io/v1", true},
    {"Service", "services", "/api/v1", true},
    {"NetworkPolicy", "networkpolicies", "/apis/networking.k8s.io/v1", true},
    {"EndpointSlice", "endpointslices", "/apis/discovery.k8s.io/v1", true},
};

const Kind* find_kind(std::string_view name) {
  for (const auto& kind : kKinds)
    if (kind.kind == name || kind.plural == name) return &kind;
  return nullptr;
}

std::string collection(const Kind& kind, const std::string& namespace_) {
  if (!kind.namespaced || namespace_.empty()) return fmt::format("{}/{}", kind.group_path, kind.plural);
  return fmt::format("{}/namespaces/{}/{}", kind.group_path, kube::percent_encode(namespace_), kind.plural);
}

// The resourceVersion as it stands in the text: enough to tell whether a patch changed anything.
std::string version_of(const std::string& json) {
  const size_t at = json.find("\"resourceVersion\"");
  if (at == std::string::npos) return "";
  const size_t open = json.find('"', json.find(':', at));
  return json.substr(open + 1, json.find('"', open + 1) - open - 1);
}

}  // namespace

ports::ApplyReply Applier::apply(const std::string& manifest, const std::string& origin, bool dry_run, std::stop_token stop) {
  ports::ApplyReply reply;
  const auto parsed = codec::parse_pod_manifest(manifest, origin);  // strict: unknown fields, types and validation of pods
  for (const auto& error : parsed.errors) reply.errors.push_back(error.message());
  auto documents = codec::parse_manifest(manifest, origin);
  // Pods last: what they mount, and the policies that they are to start under, should be there first.
  std::ranges::stable_partition(documents.objects, [](const auto& object) { return object.kind != "Pod"; });
  for (const auto& object : documents.objects) {
    const std::string namespace_ = object.namespace_.empty() ? "default" : object.namespace_;
    const Kind* kind = find_kind(object.kind);
    if (kind == nullptr) {
      reply.errors.push_back(
          fmt::format("{}:{}: kind '{}' is not served here (Pod, ConfigMap, Secret, Namespace, Service, EndpointSlice, NetworkPolicy)",
                      origin, object.line, object.kind));
      continue;
    }
    if (object.kind == "Pod" && std::ranges::none_of(parsed.pods, [&](const model::Pod& pod) {
          return pod.metadata.name == object.name && pod.metadata.namespace_ == namespace_;
        }))
      continue;  // its error stands above
    const std::string path = collection(*kind, namespace_) + "/" + kube::percent_encode(object.name);
    ports::AppliedObject done{object.kind, kind->namespaced ? namespace_ : "", object.name, ""};
    auto existing = connection_.request({.method = "GET", .path = path}, stop);
    if (!existing && existing.error().code != Code::kNotFound) {
      reply.errors.push_back(fmt::format("{}:{}: {}", origin, object.line, existing.error().message()));
      continue;
    }
    if (dry_run) {
      done.action = existing ? "would be configured" : "would be created";
      reply.objects.push_back(done);
      continue;
    }
    const auto written =
        existing
            ? connection_.request(
                  {.method = "PATCH", .path = path, .body = object.json, .content_type = std::string(kube::kStrategicMergePatch)}, stop)
            : connection_.request({.method = "POST", .path = collection(*kind, namespace_), .body = object.json}, stop);
    if (!written) {
      reply.errors.push_back(fmt::format("{}:{}: {}", origin, object.line, written.error().message()));
      continue;
    }
    done.action = !existing ? "created" : version_of(*existing) == version_of(*written) ? "unchanged" : "configured";
    reply.objects.push_back(done);
  }
  return reply;
}

Status Applier::delete_pod(const std::string& namespace_, const std::string& name, std::optional<int64_t> grace_seconds,
                           std::stop_token stop) {
  std::string path = fmt::format("/api/v1/namespaces/{}/pods/{}", kube::percent_encode(namespace_), kube::percent_encode(name));
  if (grace_seconds) path += fmt::format("?gracePeriodSeconds={}", *grace_seconds);
  PINTLE_TRY(connection_.request({.method = "DELETE", .path = path}, std::move(stop)));
  return {};
}

Result<std::string> Applier::list_json(const std::string& kind, const std::string& namespace_, std::stop_token stop) {
  const Kind* known = find_kind(kind);
  if (known == nullptr)
    return fail(Code::kInvalid, fmt::format("kind '{}' is not served (pods, nodes, events, configmaps, secrets, namespaces, leases, "
                                            "services, endpointslices, networkpolicies)",
                                            kind));
  return connection_.request({.method = "GET", .path = collection(*known, namespace_)}, std::move(stop));
}

}  // namespace pintle::app
