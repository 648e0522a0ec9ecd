// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/pod_rules.h"

#include <algorithm>

#include <fmt/format.h>

#include "codec/objects.h"
#include "model/defaults.h"
#include "model/validate.h"
#include "standalone/resource.h"

namespace pintle::standalone {
namespace {

void fill(Json& object, const char* key, Json value) {
  if (find(object, key) == nullptr) object[key] = std::move(value);
}

// No tag, or "latest", and no digest: the image may have moved since the last pull.
bool may_move(const std::string& image) {
  if (image.find('@') != std::string::npos) return false;
  const size_t colon = image.rfind(':'), slash = image.rfind('/');
  return colon == std::string::npos || (slash != std::string::npos && slash > colon) || image.substr(colon + 1) == "latest";
}

void default_probe(Json& probe) {
  if (!probe.is_object()) return;
  fill(probe, "timeoutSeconds", 1);
  fill(probe, "periodSeconds", 10);
  fill(probe, "successThreshold", 1);
  fill(probe, "failureThreshold", 3);
  if (const auto http = probe.find("httpGet"); http != probe.end() && http->is_object()) {
    fill(*http, "path", "/");
    fill(*http, "scheme", "HTTP");
  }
  if (const auto grpc = probe.find("grpc"); grpc != probe.end() && grpc->is_object()) fill(*grpc, "service", "");
}

// A limit without a request is the request too.
void default_resources(Json& container) {
  Json& resources = mapping(container, "resources");
  const Json* limits = find(resources, "limits");
  if (limits == nullptr || !limits->is_object()) return;
  Json requests = find(resources, "requests") != nullptr ? resources["requests"] : Json::object();
  if (!requests.is_object()) return;
  for (const auto& [name, quantity] : limits->items())
    if (!requests.contains(name)) requests[name] = quantity;
  if (!requests.empty()) resources["requests"] = std::move(requests);
}

void default_container(Json& container) {
  if (!container.is_object()) return;
  fill(container, "imagePullPolicy", may_move(text_at(container, "image")) ? "Always" : "IfNotPresent");
  fill(container, "terminationMessagePath", "/dev/termination-log");
  fill(container, "terminationMessagePolicy", "File");
  default_resources(container);
  for (const char* probe : {"livenessProbe", "readinessProbe", "startupProbe"})
    if (const auto it = container.find(probe); it != container.end()) default_probe(*it);
  if (const auto ports = container.find("ports"); ports != container.end() && ports->is_array())
    for (auto& port : *ports)
      if (port.is_object()) fill(port, "protocol", "TCP");
  if (const auto env = container.find("env"); env != container.end() && env->is_array())
    for (auto& variable : *env)
      if (const auto from = variable.find("valueFrom"); from != variable.end() && from->is_object())
        if (const auto field = from->find("fieldRef"); field != from->end() && field->is_object()) fill(*field, "apiVersion", "v1");
}

void default_volume(Json& volume) {
  if (!volume.is_object()) return;
  const bool has_source = std::any_of(volume.items().begin(), volume.items().end(), [](const auto& item) { return item.key() != "name"; });
  if (!has_source) volume["emptyDir"] = Json::object();
  for (const char* kind : {"configMap", "secret", "projected", "downwardAPI"})
    if (const auto it = volume.find(kind); it != volume.end() && it->is_object()) fill(*it, "defaultMode", 420);
  if (const auto path = volume.find("hostPath"); path != volume.end() && path->is_object()) fill(*path, "type", "");
}

void default_host_ports(Json& container) {
  const auto ports = container.find("ports");
  if (ports == container.end() || !ports->is_array()) return;
  for (auto& port : *ports)
    if (port.is_object() && find(port, "containerPort") != nullptr) fill(port, "hostPort", port["containerPort"]);
}

std::string qos_of(const Json& pod) {
  auto decoded = codec::decode_pod(dump(pod));
  if (!decoded) return "BestEffort";  // validate_pod has refused it or will
  model::apply_defaults(*decoded);
  return std::string(model::to_string(model::qos_class(decoded->spec)));
}

std::string_view reason_of(const std::string& problem) {
  if (problem.find("equired") != std::string::npos || problem.find("must be set") != std::string::npos) return "FieldValueRequired";
  if (problem.find("twice") != std::string::npos || problem.find("uplicate") != std::string::npos) return "FieldValueDuplicate";
  return "FieldValueInvalid";
}

// The spec without what may change.
Json fixed_part(const Json& spec) {
  Json fixed = spec;
  for (const char* field : {"activeDeadlineSeconds", "tolerations", "ephemeralContainers"}) fixed.erase(field);
  for (const char* list : {"containers", "initContainers"})
    if (const auto it = fixed.find(list); it != fixed.end() && it->is_array())
      for (auto& container : *it)
        if (container.is_object()) container.erase("image");
  // Negative before and 1 after is the one change of the grace period that the API allows.
  if (integer_at(spec, "terminationGracePeriodSeconds").value_or(0) < 0) fixed["terminationGracePeriodSeconds"] = 1;
  return fixed;
}

}  // namespace

void apply_pod_defaults(Json& pod) {
  Json& spec = mapping(pod, "spec");
  fill(spec, "restartPolicy", "Always");
  fill(spec, "dnsPolicy", "ClusterFirst");
  fill(spec, "terminationGracePeriodSeconds", 30);
  fill(spec, "schedulerName", "default-scheduler");
  fill(spec, "enableServiceLinks", true);
  fill(spec, "securityContext", Json::object());
  if (find(spec, "serviceAccountName") == nullptr)
    spec["serviceAccountName"] = find(spec, "serviceAccount") != nullptr ? spec["serviceAccount"] : Json("default");
  fill(spec, "serviceAccount", spec["serviceAccountName"]);
  const bool host_network = flag_at(spec, "hostNetwork");
  for (const char* list : {"containers", "initContainers"}) {
    const auto it = spec.find(list);
    if (it == spec.end() || !it->is_array()) continue;
    for (auto& container : *it) {
      default_container(container);
      if (host_network && container.is_object()) default_host_ports(container);
    }
  }
  if (const auto volumes = spec.find("volumes"); volumes != spec.end() && volumes->is_array())
    for (auto& volume : *volumes) default_volume(volume);
}

void start_pod(Json& pod, const PodContext& context) {
  Json& spec = mapping(pod, "spec");
  Json status = {{"phase", "Pending"}, {"qosClass", qos_of(pod)}};
  if (text_at(spec, "nodeName").empty()) {
    spec["nodeName"] = context.node_name;
    status["conditions"] = Json::array(
        {{{"type", "PodScheduled"}, {"status", "True"}, {"lastProbeTime", nullptr}, {"lastTransitionTime", format_rfc3339(context.now)}}});
  }
  pod["status"] = std::move(status);
}

ApiResult<void> validate_pod(const Json& pod, bool strict) {
  const std::string name = text_at(pod, "metadata", "name");
  const std::string text = dump(pod);
  auto decoded = codec::decode_pod(text);
  if (!decoded) return bad_request(fmt::format("Pod in version \"v1\" cannot be handled as a Pod: {}", decoded.error().message()));
  if (strict) {
    codec::DecodeOptions options;
    options.unknown_fields = codec::UnknownFields::kRefuse;
    if (auto known = codec::decode_pod(text, options); !known)
      return bad_request(fmt::format("strict decoding error: {}", known.error().message()));
  }
  model::apply_defaults(*decoded);
  std::vector<FieldCause> causes;
  for (auto& problem : model::validate(*decoded)) {
    auto reason = std::string(reason_of(problem.problem));
    causes.push_back({std::move(problem.path), std::move(reason), std::move(problem.problem)});
  }
  if (!causes.empty()) return invalid(resources::kPods, name, std::move(causes));
  return {};
}

ApiResult<void> check_pod_update(const Json& before, const Json& after) {
  const Json empty = Json::object();
  const Json* old_spec = find(before, "spec");
  const Json* new_spec = find(after, "spec");
  const std::string name = text_at(after, "metadata", "name");
  const auto refuse_spec = [&](const char* field, const char* why) {
    return invalid(resources::kPods, name, {{field, "FieldValueForbidden", why}});
  };
  const Json was = fixed_part(old_spec == nullptr ? empty : *old_spec), is = fixed_part(new_spec == nullptr ? empty : *new_spec);
  if (was != is) {
    std::string changed;
    for (const auto& step : Json::diff(was, is)) {
      if (changed.size() > 200) break;
      changed += fmt::format("{}spec{}", changed.empty() ? "" : ", ", text_at(step, "path"));
    }
    return refuse_spec(
        "spec", fmt::format("Forbidden: pod updates may not change fields other than `spec.containers[*].image`, "
                            "`spec.initContainers[*].image`, `spec.activeDeadlineSeconds`, `spec.tolerations` (only additions to existing "
                            "tolerations); changed: {}",
                            changed)
                    .c_str());
  }
  const auto& tolerations = list_at(*new_spec, "tolerations");
  for (const auto& old : list_at(*old_spec, "tolerations"))
    if (std::find(tolerations.begin(), tolerations.end(), old) == tolerations.end())
      return refuse_spec("spec.tolerations", "Forbidden: existing toleration can not be modified except its tolerationSeconds");
  const auto old_deadline = integer_at(*old_spec, "activeDeadlineSeconds"), new_deadline = integer_at(*new_spec, "activeDeadlineSeconds");
  if (old_deadline && (!new_deadline || *new_deadline > *old_deadline))
    return refuse_spec("spec.activeDeadlineSeconds", "Invalid value: must be less than or equal to previous value");
  return {};
}

}  // namespace pintle::standalone
