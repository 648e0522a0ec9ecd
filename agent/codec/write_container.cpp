// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/model_writers.h"

namespace pintle::codec {

Json write(const model::OwnerReference& owner) {
  Json out = {{"apiVersion", owner.api_version}, {"kind", owner.kind}, {"name", owner.name}, {"uid", owner.uid}};
  put(out, "controller", owner.controller);
  return out;
}

Json write(const model::ObjectMeta& meta) {
  Json out = Json::object();
  put(out, "name", meta.name);
  put(out, "namespace", meta.namespace_);
  put(out, "uid", meta.uid);
  put(out, "resourceVersion", meta.resource_version);
  put(out, "generation", meta.generation);
  put(out, "labels", meta.labels);
  put(out, "annotations", meta.annotations);
  put(out, "ownerReferences", meta.owner_references);
  put(out, "finalizers", meta.finalizers);
  put(out, "creationTimestamp", meta.creation_timestamp);
  put(out, "deletionTimestamp", meta.deletion_timestamp);
  put(out, "deletionGracePeriodSeconds", meta.deletion_grace_period_seconds);
  return out;
}

Json write(const model::ObjectReference& reference) {
  Json out = Json::object();
  put(out, "apiVersion", reference.api_version);
  put(out, "kind", reference.kind);
  put(out, "namespace", reference.namespace_);
  put(out, "name", reference.name);
  put(out, "uid", reference.uid);
  put(out, "resourceVersion", reference.resource_version);
  put(out, "fieldPath", reference.field_path);
  return out;
}

Json write(const model::Resources& resources) {
  Json out = Json::object();
  put(out, "limits", resources.limits);
  put(out, "requests", resources.requests);
  return out;
}

Json write(const model::FieldRef& reference) { return {{"apiVersion", "v1"}, {"fieldPath", reference.field_path}}; }

Json write(const model::ResourceFieldRef& reference) {
  Json out = {{"resource", reference.resource}};
  put(out, "containerName", reference.container_name);
  put(out, "divisor", reference.divisor);
  return out;
}

Json write(const model::KeySelector& selector) {
  Json out = {{"key", selector.key}};
  put(out, "name", selector.name);
  put(out, "optional", selector.optional);
  return out;
}

Json write(const model::EnvVar& env) {
  Json out = {{"name", env.name}};
  put(out, "value", env.value);
  if (const auto* field = std::get_if<model::FieldRef>(&env.value_from)) out["valueFrom"]["fieldRef"] = write(*field);
  if (const auto* resource = std::get_if<model::ResourceFieldRef>(&env.value_from)) out["valueFrom"]["resourceFieldRef"] = write(*resource);
  if (const auto* config = std::get_if<model::ConfigMapKeyRef>(&env.value_from))
    out["valueFrom"]["configMapKeyRef"] = write(static_cast<const model::KeySelector&>(*config));
  if (const auto* secret = std::get_if<model::SecretKeyRef>(&env.value_from))
    out["valueFrom"]["secretKeyRef"] = write(static_cast<const model::KeySelector&>(*secret));
  return out;
}

Json write(const model::EnvFrom& from) {
  Json out = Json::object();
  put(out, "prefix", from.prefix);
  Json source = Json::object();
  put(source, "name", from.name);
  put(source, "optional", from.optional);
  out[from.kind == model::EnvFrom::Kind::kConfigMap ? "configMapRef" : "secretRef"] = std::move(source);
  return out;
}

Json write(const model::ContainerPort& port) {
  Json out = {{"containerPort", port.container_port}, {"protocol", to_string(port.protocol)}};
  put(out, "name", port.name);
  put(out, "hostIP", port.host_ip);
  put(out, "hostPort", port.host_port);
  return out;
}

Json write(const model::VolumeMount& mount) {
  using Propagation = model::VolumeMount::Propagation;
  Json out = {{"name", mount.name}, {"mountPath", mount.mount_path}};
  put(out, "subPath", mount.sub_path);
  put(out, "subPathExpr", mount.sub_path_expr);
  put(out, "readOnly", mount.read_only);
  put(out, "recursiveReadOnly", mount.recursive_read_only);
  if (mount.propagation == Propagation::kHostToContainer) out["mountPropagation"] = "HostToContainer";
  if (mount.propagation == Propagation::kBidirectional) out["mountPropagation"] = "Bidirectional";
  return out;
}

Json write(const model::VolumeDevice& device) { return {{"name", device.name}, {"devicePath", device.device_path}}; }

static Json write_port(const model::IntOrString& port) {
  return std::visit([](const auto& value) { return Json(value); }, port);
}

// One of these names the action inside a probe or a hook.
static void put_action(Json& out, const model::ExecAction& action) {
  out["exec"] = Json::object();
  put(out["exec"], "command", action.command);
}
static void put_action(Json& out, const model::HttpGetAction& action) {
  Json& http = out["httpGet"] = {{"port", write_port(action.port)}};
  put(http, "path", action.path);
  put(http, "host", action.host);
  put(http, "scheme", action.scheme);
  for (const auto& [name, value] : action.headers) http["httpHeaders"].push_back({{"name", name}, {"value", value}});
}
static void put_action(Json& out, const model::TcpSocketAction& action) {
  out["tcpSocket"] = {{"port", write_port(action.port)}};
  put(out["tcpSocket"], "host", action.host);
}
static void put_action(Json& out, const model::GrpcAction& action) { out["grpc"] = {{"port", action.port}, {"service", action.service}}; }
static void put_action(Json& out, const model::SleepAction& action) { out["sleep"] = {{"seconds", action.seconds}}; }

Json write(const model::Probe& probe) {
  Json out = Json::object();
  std::visit([&](const auto& action) { put_action(out, action); }, probe.action);
  put(out, "initialDelaySeconds", probe.initial_delay_seconds);
  put(out, "timeoutSeconds", probe.timeout_seconds);
  put(out, "periodSeconds", probe.period_seconds);
  put(out, "successThreshold", probe.success_threshold);
  put(out, "failureThreshold", probe.failure_threshold);
  put(out, "terminationGracePeriodSeconds", probe.termination_grace_period_seconds);
  return out;
}

Json write(const model::HookAction& hook) {
  Json out = Json::object();
  std::visit([&](const auto& action) { put_action(out, action); }, hook);
  return out;
}

Json write(const model::Capabilities& capabilities) {
  Json out = Json::object();
  put(out, "add", capabilities.add);
  put(out, "drop", capabilities.drop);
  return out;
}
Json write(const model::SeccompProfile& profile) {
  Json out = {{"type", profile.type}};
  put(out, "localhostProfile", profile.localhost_profile);
  return out;
}
Json write(const model::AppArmorProfile& profile) {
  Json out = {{"type", profile.type}};
  put(out, "localhostProfile", profile.localhost_profile);
  return out;
}
Json write(const model::SeLinuxOptions& options) {
  Json out = Json::object();
  put(out, "user", options.user);
  put(out, "role", options.role);
  put(out, "type", options.type);
  put(out, "level", options.level);
  return out;
}
Json write(const model::SecurityContext& context) {
  Json out = Json::object();
  put(out, "capabilities", context.capabilities);
  put(out, "privileged", context.privileged);
  put(out, "runAsNonRoot", context.run_as_non_root);
  put(out, "readOnlyRootFilesystem", context.read_only_root_filesystem);
  put(out, "allowPrivilegeEscalation", context.allow_privilege_escalation);
  put(out, "runAsUser", context.run_as_user);
  put(out, "runAsGroup", context.run_as_group);
  put(out, "procMount", context.proc_mount);
  put(out, "seccompProfile", context.seccomp_profile);
  put(out, "appArmorProfile", context.app_armor_profile);
  put(out, "seLinuxOptions", context.se_linux_options);
  return out;
}

Json write(const model::Container& container) {
  Json out = {{"name", container.name}, {"resources", write(container.resources)}};
  put(out, "image", container.image);
  put(out, "workingDir", container.working_dir);
  put(out, "command", container.command);
  put(out, "args", container.args);
  if (container.image_pull_policy) out["imagePullPolicy"] = to_string(*container.image_pull_policy);
  put(out, "ports", container.ports);
  put(out, "envFrom", container.env_from);
  put(out, "env", container.env);
  if (container.restart_policy) out["restartPolicy"] = to_string(*container.restart_policy);
  put(out, "volumeMounts", container.volume_mounts);
  put(out, "volumeDevices", container.volume_devices);
  put(out, "livenessProbe", container.liveness_probe);
  put(out, "readinessProbe", container.readiness_probe);
  put(out, "startupProbe", container.startup_probe);
  if (container.lifecycle.post_start) out["lifecycle"]["postStart"] = write(*container.lifecycle.post_start);
  if (container.lifecycle.pre_stop) out["lifecycle"]["preStop"] = write(*container.lifecycle.pre_stop);
  put(out, "terminationMessagePath", container.termination_message_path);
  out["terminationMessagePolicy"] = to_string(container.termination_message_policy);
  put(out, "securityContext", container.security_context);
  put(out, "stdin", container.stdin);
  put(out, "stdinOnce", container.stdin_once);
  put(out, "tty", container.tty);
  return out;
}

}  // namespace pintle::codec
