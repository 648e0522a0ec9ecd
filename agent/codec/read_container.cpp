// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <fmt/format.h>

#include "codec/model_readers.h"

namespace pintle::codec {
namespace {

// Fields of which exactly one may be set: remembers the first and complains about a second.
class OneOf {
 public:
  OneOf(Fields& fields, std::string_view what) : fields_(fields), what_(what) {}
  template <typename Parse>
  void option(std::string_view name, Parse&& parse) {
    fields_.with(name, [&](const Cursor& cursor) {
      if (!taken_.empty()) return cursor.error(fmt::format("'{}' is set as well; only one {} is allowed", taken_, what_));
      taken_ = name;
      parse(cursor);
    });
  }
  // Complains unless one was set.
  void require(std::string_view names) {
    if (taken_.empty() && fields_.cursor().node().is_map()) fields_.cursor().error(fmt::format("needs one of {}", names));
  }

 private:
  Fields& fields_;
  std::string_view what_;
  std::string_view taken_;
};

template <typename T, typename Variant>
auto alternative(Variant& out) {
  return [&out](const Cursor& cursor) { read(cursor, out.template emplace<T>()); };
}

}  // namespace

// IntOrString is a std::variant: named, since a template of variants could take it for something else.
static void read_port(const Cursor& cursor, model::IntOrString& out) {
  if (cursor.node().is_string()) return read(cursor, out.emplace<std::string>());
  if (cursor.node().kind == Node::Kind::kInteger) return read(cursor, out.emplace<int64_t>());
  cursor.expected("a port number or name");
}

static void read(const Cursor& cursor, model::Protocol& out) {
  using enum model::Protocol;
  read_enum(cursor, out, {kTcp, kUdp, kSctp});
}
static void read(const Cursor& cursor, model::PullPolicy& out) {
  using enum model::PullPolicy;
  read_enum(cursor, out, {kAlways, kIfNotPresent, kNever});
}
static void read(const Cursor& cursor, model::MessagePolicy& out) {
  using enum model::MessagePolicy;
  read_enum(cursor, out, {kFile, kFallbackToLogsOnError});
}
void read(const Cursor& cursor, model::RestartPolicy& out) {
  using enum model::RestartPolicy;
  read_enum(cursor, out, {kAlways, kOnFailure, kNever});
}

void read(const Cursor& cursor, model::Resources& out) {
  Fields fields(cursor);
  fields("limits", out.limits);
  fields("requests", out.requests);
  fields.ignore({"claims"});
}

void read(const Cursor& cursor, model::FieldRef& out) {
  Fields fields(cursor);
  fields.required("fieldPath", out.field_path);
  fields.ignore({"apiVersion"});
}
void read(const Cursor& cursor, model::ResourceFieldRef& out) {
  Fields fields(cursor);
  fields("containerName", out.container_name);
  fields.required("resource", out.resource);
  fields("divisor", out.divisor);
}
static void read(const Cursor& cursor, model::KeySelector& out) {
  Fields fields(cursor);
  fields("name", out.name);
  fields.required("key", out.key);
  fields("optional", out.optional);
}

static void read_value_source(const Cursor& cursor, model::EnvValueSource& out) {
  Fields fields(cursor);
  OneOf one(fields, "source");
  one.option("fieldRef", alternative<model::FieldRef>(out));
  one.option("resourceFieldRef", alternative<model::ResourceFieldRef>(out));
  one.option("configMapKeyRef",
             [&](const Cursor& at) { read(at, static_cast<model::KeySelector&>(out.emplace<model::ConfigMapKeyRef>())); });
  one.option("secretKeyRef", [&](const Cursor& at) { read(at, static_cast<model::KeySelector&>(out.emplace<model::SecretKeyRef>())); });
  fields.ignore({"fileKeyRef"});
}

static void read(const Cursor& cursor, model::EnvVar& out) {
  Fields fields(cursor);
  fields("name", out.name);
  fields("value", out.value);
  fields.with("valueFrom", [&](const Cursor& at) { read_value_source(at, out.value_from); });
}

static void read(const Cursor& cursor, model::EnvFrom& out) {
  Fields fields(cursor);
  fields("prefix", out.prefix);
  const auto reference = [&](model::EnvFrom::Kind kind) {
    return [&out, kind](const Cursor& at) {
      out.kind = kind;
      Fields source(at);
      source("name", out.name);
      source("optional", out.optional);
    };
  };
  OneOf one(fields, "source");
  one.option("configMapRef", reference(model::EnvFrom::Kind::kConfigMap));
  one.option("secretRef", reference(model::EnvFrom::Kind::kSecret));
  one.require("configMapRef, secretRef");
}

static void read(const Cursor& cursor, model::ContainerPort& out) {
  Fields fields(cursor);
  fields("name", out.name);
  fields("hostIP", out.host_ip);
  fields.required("containerPort", out.container_port);
  fields("hostPort", out.host_port);
  fields("protocol", out.protocol);
}

void read(const Cursor& cursor, model::VolumeMount& out) {
  using Propagation = model::VolumeMount::Propagation;
  static constexpr std::pair<std::string_view, Propagation> kPropagation[] = {
      {"None", Propagation::kNone}, {"HostToContainer", Propagation::kHostToContainer}, {"Bidirectional", Propagation::kBidirectional}};
  Fields fields(cursor);
  fields("name", out.name);
  fields("mountPath", out.mount_path);
  fields("subPath", out.sub_path);
  fields("subPathExpr", out.sub_path_expr);
  fields("readOnly", out.read_only);
  fields("recursiveReadOnly", out.recursive_read_only);
  fields.with("mountPropagation", [&](const Cursor& at) { read_name(at, out.propagation, kPropagation); });
  fields.ignore({"volumeStatus"});
}
static void read(const Cursor& cursor, model::VolumeDevice& out) {
  Fields fields(cursor);
  fields("name", out.name);
  fields("devicePath", out.device_path);
}

static void read(const Cursor& cursor, model::ExecAction& out) {
  Fields fields(cursor);
  fields("command", out.command);
}
static void read(const Cursor& cursor, std::pair<std::string, std::string>& out) {
  Fields fields(cursor);
  fields("name", out.first);
  fields("value", out.second);
}
static void read(const Cursor& cursor, model::HttpGetAction& out) {
  Fields fields(cursor);
  fields("path", out.path);
  fields("host", out.host);
  fields("scheme", out.scheme);
  fields.with("port", [&](const Cursor& at) { read_port(at, out.port); });
  fields.with("httpHeaders", [&](const Cursor& at) {
    if (!at.node().is_list()) return at.expected("a list");
    for (size_t i = 0; i < at.node().children.size(); ++i) read(Cursor(at, at.node().children[i], i), out.headers.emplace_back());
  });
}
static void read(const Cursor& cursor, model::TcpSocketAction& out) {
  Fields fields(cursor);
  fields("host", out.host);
  fields.with("port", [&](const Cursor& at) { read_port(at, out.port); });
}
static void read(const Cursor& cursor, model::GrpcAction& out) {
  Fields fields(cursor);
  fields.required("port", out.port);
  fields("service", out.service);
}
static void read(const Cursor& cursor, model::SleepAction& out) {
  Fields fields(cursor);
  fields.required("seconds", out.seconds);
}

static void read(const Cursor& cursor, model::Probe& out) {
  Fields fields(cursor);
  OneOf one(fields, "kind of probe");
  one.option("exec", alternative<model::ExecAction>(out.action));
  one.option("httpGet", alternative<model::HttpGetAction>(out.action));
  one.option("tcpSocket", alternative<model::TcpSocketAction>(out.action));
  one.option("grpc", alternative<model::GrpcAction>(out.action));
  one.require("exec, httpGet, tcpSocket, grpc");
  fields("initialDelaySeconds", out.initial_delay_seconds);
  fields("timeoutSeconds", out.timeout_seconds);
  fields("periodSeconds", out.period_seconds);
  fields("successThreshold", out.success_threshold);
  fields("failureThreshold", out.failure_threshold);
  fields("terminationGracePeriodSeconds", out.termination_grace_period_seconds);
}

static void read_hook(const Cursor& cursor, std::optional<model::HookAction>& out) {
  auto& action = out.emplace();
  Fields fields(cursor);
  OneOf one(fields, "kind of hook");
  one.option("exec", alternative<model::ExecAction>(action));
  one.option("httpGet", alternative<model::HttpGetAction>(action));
  one.option("tcpSocket", alternative<model::TcpSocketAction>(action));
  one.option("sleep", alternative<model::SleepAction>(action));
  one.require("exec, httpGet, sleep");
}
static void read(const Cursor& cursor, model::Lifecycle& out) {
  Fields fields(cursor);
  fields.with("postStart", [&](const Cursor& at) { read_hook(at, out.post_start); });
  fields.with("preStop", [&](const Cursor& at) { read_hook(at, out.pre_stop); });
  fields.ignore({"stopSignal"});
}

static void read(const Cursor& cursor, model::Capabilities& out) {
  Fields fields(cursor);
  fields("add", out.add);
  fields("drop", out.drop);
}
void read(const Cursor& cursor, model::SeccompProfile& out) {
  Fields fields(cursor);
  fields("type", out.type);
  fields("localhostProfile", out.localhost_profile);
}
void read(const Cursor& cursor, model::AppArmorProfile& out) {
  Fields fields(cursor);
  fields("type", out.type);
  fields("localhostProfile", out.localhost_profile);
}
void read(const Cursor& cursor, model::SeLinuxOptions& out) {
  Fields fields(cursor);
  fields("user", out.user);
  fields("role", out.role);
  fields("type", out.type);
  fields("level", out.level);
}
static void read(const Cursor& cursor, model::SecurityContext& out) {
  Fields fields(cursor);
  fields("capabilities", out.capabilities);
  fields("privileged", out.privileged);
  fields("runAsNonRoot", out.run_as_non_root);
  fields("readOnlyRootFilesystem", out.read_only_root_filesystem);
  fields("allowPrivilegeEscalation", out.allow_privilege_escalation);
  fields("runAsUser", out.run_as_user);
  fields("runAsGroup", out.run_as_group);
  fields("procMount", out.proc_mount);
  fields("seccompProfile", out.seccomp_profile);
  fields("appArmorProfile", out.app_armor_profile);
  fields("seLinuxOptions", out.se_linux_options);
  fields.ignore({"windowsOptions"});
}

void read(const Cursor& cursor, model::Container& out) {
  Fields fields(cursor);
  fields("name", out.name);
  fields("image", out.image);
  fields("workingDir", out.working_dir);
  fields("command", out.command);
  fields("args", out.args);
  fields("imagePullPolicy", out.image_pull_policy);
  fields("ports", out.ports);
  fields("envFrom", out.env_from);
  fields("env", out.env);
  fields("resources", out.resources);
  fields("restartPolicy", out.restart_policy);
  fields("volumeMounts", out.volume_mounts);
  fields("volumeDevices", out.volume_devices);
  fields("livenessProbe", out.liveness_probe);
  fields("readinessProbe", out.readiness_probe);
  fields("startupProbe", out.startup_probe);
  fields("lifecycle", out.lifecycle);
  fields("terminationMessagePath", out.termination_message_path);
  fields("terminationMessagePolicy", out.termination_message_policy);
  fields("securityContext", out.security_context);
  fields("stdin", out.stdin);
  fields("stdinOnce", out.stdin_once);
  fields("tty", out.tty);
  fields.ignore({"resizePolicy", "restartPolicyRules", "targetContainerName"});
}

}  // namespace pintle::codec
