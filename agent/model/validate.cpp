// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "model/validate.h"

#include <algorithm>
#include <set>
#include <span>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "model/names.h"

namespace pintle::model {
namespace {

// ".." as a component, or an absolute path: must not leave the volume.
bool leaves_volume(std::string_view path) {
  if (path.starts_with('/')) return true;
  for (size_t start = 0; start <= path.size();) {
    const size_t end = std::min(path.find('/', start), path.size());
    if (path.substr(start, end - start) == "..") return true;
    start = end + 1;
  }
  return false;
}

class Validator {
 public:
  explicit Validator(const Pod& pod) : pod_(pod), spec_(pod.spec) {}

  std::vector<FieldError> run() {
    check_metadata();
    check_spec();
    check_volumes();
    check_containers();
    return std::move(errors_);
  }

 private:
  enum class Role { kInit, kRegular, kEphemeral };

  void error(std::string path, std::string problem) { errors_.push_back({std::move(path), std::move(problem)}); }
  void check_at_least(const std::string& path, int64_t value, int64_t least) {
    if (value < least) error(path, fmt::format("{} is too small; at least {}", value, least));
  }
  void check_one_of(const std::string& path, std::string_view value, std::span<const std::string_view> allowed) {
    if (std::ranges::find(allowed, value) == allowed.end())
      error(path, fmt::format("'{}' is not one of {}", value, fmt::join(allowed, ", ")));
  }
  void check_port(const std::string& path, int64_t port) {
    if (port < 1 || port > 65535) error(path, fmt::format("{} is not a port; use 1 to 65535", port));
  }
  void check_unique(std::set<std::string>& seen, const std::string& value, const std::string& path, std::string_view what) {
    if (!value.empty() && !seen.insert(value).second) error(path, fmt::format("'{}' is used twice; {} must differ", value, what));
  }
  void check_label_name(const std::string& path, const std::string& name) {
    if (name.empty()) return error(path, "is required; give it a name");
    if (!is_dns_label(name))
      error(path, fmt::format("'{}' is not a name; use at most 63 of a-z, 0-9 and '-', with a letter or digit at both ends", name));
  }
  void check_subdomain_name(const std::string& path, const std::string& name) {
    if (name.empty()) return error(path, "is required; give it a name");
    if (!is_dns_subdomain(name))
      error(path, fmt::format("'{}' is not a name; use at most 253 of a-z, 0-9, '-' and '.', with a letter or digit at both ends", name));
  }

  void check_metadata();
  void check_spec();
  void check_host_aliases();
  void check_volumes();
  void check_mode(const std::string& path, const std::optional<int32_t>& mode);
  void check_items(const std::string& path, const std::vector<KeyToPath>& items);
  void check_downward(const std::string& path, const DownwardApiVolume& volume);
  void check_source(const std::string& path, const Volume& volume);
  void check_containers();
  void check_container(const std::string& path, const Container& container, Role role);
  void check_ports(const std::string& path, const Container& container);
  void check_env(const std::string& path, const Container& container);
  void check_mounts(const std::string& path, const Container& container);
  void check_resources(const std::string& path, const Resources& resources);
  void check_http(const std::string& path, const HttpGetAction& action);
  void check_target_port(const std::string& path, const IntOrString& port);
  void check_action(const std::string& path, const ExecAction& action);
  void check_action(const std::string& path, const HttpGetAction& action) { check_http(path + ".httpGet", action); }
  void check_action(const std::string& path, const TcpSocketAction& action) { check_target_port(path + ".tcpSocket.port", action.port); }
  void check_action(const std::string& path, const GrpcAction& action) { check_port(path + ".grpc.port", action.port); }
  void check_action(const std::string& path, const SleepAction& action);
  void check_probe(const std::string& path, const std::optional<Probe>& probe, bool readiness);
  void check_hook(const std::string& path, const std::optional<HookAction>& hook);
  void check_security(const std::string& path, const Container& container);

  const Pod& pod_;
  const PodSpec& spec_;
  std::vector<FieldError> errors_;
  std::set<std::string> volumes_;
  std::set<std::string> container_names_;
  std::set<std::string> host_ports_;
};

void Validator::check_metadata() {
  const ObjectMeta& meta = pod_.metadata;
  check_subdomain_name("metadata.name", meta.name);
  check_label_name("metadata.namespace", meta.namespace_);
  for (const auto& [key, value] : meta.labels) {
    const std::string path = fmt::format("metadata.labels[{}]", key);
    if (!is_qualified_name(key))
      error(path, "is not a label key; use a name of at most 63 letters, digits, '-', '_', '.', after an optional 'domain/'");
    if (!value.empty() && !is_label_name(value))
      error(path, fmt::format("'{}' is not a label value; use at most 63 letters, digits, '-', '_', '.'", value));
  }
  size_t annotation_bytes = 0;
  for (const auto& [key, value] : meta.annotations) {
    annotation_bytes += key.size() + value.size();
    std::string lower = key;  // the domain of an annotation key may have capitals
    std::ranges::transform(lower, lower.begin(), [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
    if (!is_qualified_name(lower)) error(fmt::format("metadata.annotations[{}]", key), "is not an annotation key");
  }
  constexpr size_t kMaxAnnotationBytes = size_t{256} * 1024;
  if (annotation_bytes > kMaxAnnotationBytes)
    error("metadata.annotations", fmt::format("take {} bytes; at most {}", annotation_bytes, kMaxAnnotationBytes));
}

void Validator::check_spec() {
  check_at_least("spec.terminationGracePeriodSeconds", spec_.termination_grace_period_seconds, 0);
  if (spec_.active_deadline_seconds) check_at_least("spec.activeDeadlineSeconds", *spec_.active_deadline_seconds, 1);
  if (!spec_.hostname.empty()) check_label_name("spec.hostname", spec_.hostname);
  if (!spec_.subdomain.empty()) check_label_name("spec.subdomain", spec_.subdomain);
  if (!spec_.node_name.empty()) check_subdomain_name("spec.nodeName", spec_.node_name);
  if (!spec_.service_account_name.empty()) check_subdomain_name("spec.serviceAccountName", spec_.service_account_name);
  if (!spec_.runtime_class_name.empty()) check_subdomain_name("spec.runtimeClassName", spec_.runtime_class_name);
  if (spec_.dns_policy == DnsPolicy::kNone && (!spec_.dns_config || spec_.dns_config->nameservers.empty()))
    error("spec.dnsConfig.nameservers", "must name at least one server with dnsPolicy 'None'");
  if (spec_.dns_config && spec_.dns_config->nameservers.size() > 3) error("spec.dnsConfig.nameservers", "has more than 3 servers");
  if (spec_.share_process_namespace && spec_.host_pid) error("spec.shareProcessNamespace", "can't be set together with hostPID; drop one");
  if (spec_.host_users == false && (spec_.host_network || spec_.host_pid || spec_.host_ipc))
    error("spec.hostUsers", "can't be false together with hostNetwork, hostPID or hostIPC");
  check_host_aliases();
  static constexpr std::string_view kEffects[] = {"", "NoSchedule", "PreferNoSchedule", "NoExecute"};
  static constexpr std::string_view kOperators[] = {"", "Equal", "Exists", "Gt", "Lt"};
  for (size_t i = 0; i < spec_.tolerations.size(); ++i) {
    const Toleration& toleration = spec_.tolerations[i];
    const std::string path = fmt::format("spec.tolerations[{}]", i);
    check_one_of(path + ".effect", toleration.effect, kEffects);
    check_one_of(path + ".operator", toleration.op, kOperators);
    if (toleration.key.empty() && toleration.op != "Exists") error(path + ".operator", "must be 'Exists' when key is empty");
  }
  const auto& context = spec_.security_context;
  for (const auto* id : {&context.run_as_user, &context.run_as_group, &context.fs_group})
    if (*id && (**id < 0 || **id > 2147483647))
      error("spec.securityContext", fmt::format("{} is not a user or group id; use 0 to 2147483647", **id));
}

void Validator::check_host_aliases() {
  for (size_t i = 0; i < spec_.host_aliases.size(); ++i)
    for (size_t j = 0; j < spec_.host_aliases[i].hostnames.size(); ++j)
      if (!is_dns_subdomain(spec_.host_aliases[i].hostnames[j]))
        error(fmt::format("spec.hostAliases[{}].hostnames[{}]", i, j),
              fmt::format("'{}' is not a host name", spec_.host_aliases[i].hostnames[j]));
}

void Validator::check_mode(const std::string& path, const std::optional<int32_t>& mode) {
  if (mode && (*mode < 0 || *mode > 0777))
    error(path, fmt::format("{} is not a file mode; use 0 to 511 (octal 0777, written as 0777 in YAML and 511 in JSON)", *mode));
}

void Validator::check_items(const std::string& path, const std::vector<KeyToPath>& items) {
  for (size_t i = 0; i < items.size(); ++i) {
    const std::string at = fmt::format("{}.items[{}]", path, i);
    if (items[i].key.empty()) error(at + ".key", "is required");
    if (items[i].path.empty()) error(at + ".path", "is required");
    if (leaves_volume(items[i].path))
      error(at + ".path", fmt::format("'{}' leaves the volume; use a relative path without '..'", items[i].path));
    check_mode(at + ".mode", items[i].mode);
  }
}

void Validator::check_downward(const std::string& path, const DownwardApiVolume& volume) {
  check_mode(path + ".defaultMode", volume.default_mode);
  for (size_t i = 0; i < volume.items.size(); ++i) {
    const std::string at = fmt::format("{}.items[{}]", path, i);
    if (volume.items[i].path.empty()) error(at + ".path", "is required");
    if (leaves_volume(volume.items[i].path))
      error(at + ".path", fmt::format("'{}' leaves the volume; use a relative path without '..'", volume.items[i].path));
    check_mode(at + ".mode", volume.items[i].mode);
    const auto* resource = std::get_if<ResourceFieldRef>(&volume.items[i].source);
    if (resource != nullptr && resource->container_name.empty()) error(at + ".resourceFieldRef.containerName", "is required in a volume");
  }
}

void Validator::check_source(const std::string& path, const Volume& volume) {
  if (const auto* empty_dir = std::get_if<EmptyDirVolume>(&volume.source)) {
    if (!empty_dir->medium.empty() && empty_dir->medium != "Memory" && !empty_dir->medium.starts_with("HugePages"))
      error(path + ".emptyDir.medium", fmt::format("'{}' is not one of '', Memory, HugePages, HugePages-<size>", empty_dir->medium));
    if (empty_dir->size_limit && empty_dir->size_limit->milli() < 0) error(path + ".emptyDir.sizeLimit", "is negative");
  }
  if (const auto* host_path = std::get_if<HostPathVolume>(&volume.source)) {
    static constexpr std::string_view kTypes[] = {"",       "DirectoryOrCreate", "Directory",  "FileOrCreate", "File",
                                                  "Socket", "CharDevice",        "BlockDevice"};
    if (!host_path->path.starts_with('/')) error(path + ".hostPath.path", fmt::format("'{}' is not absolute", host_path->path));
    if (("/" + host_path->path + "/").find("/../") != std::string::npos) error(path + ".hostPath.path", "must not contain '..'");
    check_one_of(path + ".hostPath.type", host_path->type, kTypes);
  }
  if (const auto* config = std::get_if<ConfigMapVolume>(&volume.source)) {
    if (config->name.empty()) error(path + ".configMap.name", "is required; name the ConfigMap");
    check_mode(path + ".configMap.defaultMode", config->default_mode);
    check_items(path + ".configMap", config->items);
  }
  if (const auto* secret = std::get_if<SecretVolume>(&volume.source)) {
    if (secret->name.empty()) error(path + ".secret.secretName", "is required; name the Secret");
    check_mode(path + ".secret.defaultMode", secret->default_mode);
    check_items(path + ".secret", secret->items);
  }
  if (const auto* downward = std::get_if<DownwardApiVolume>(&volume.source)) check_downward(path + ".downwardAPI", *downward);
  const auto* projected = std::get_if<ProjectedVolume>(&volume.source);
  if (projected == nullptr) return;
  check_mode(path + ".projected.defaultMode", projected->default_mode);
  for (size_t i = 0; i < projected->sources.size(); ++i) {
    const std::string at = fmt::format("{}.projected.sources[{}]", path, i);
    if (const auto* token = std::get_if<TokenProjection>(&projected->sources[i])) {
      if (token->path.empty()) error(at + ".serviceAccountToken.path", "is required");
      if (leaves_volume(token->path)) error(at + ".serviceAccountToken.path", "leaves the volume; use a relative path without '..'");
      check_at_least(at + ".serviceAccountToken.expirationSeconds", token->expiration_seconds, 600);
    }
    if (const auto* config = std::get_if<ConfigMapVolume>(&projected->sources[i])) check_items(at + ".configMap", config->items);
    if (const auto* secret = std::get_if<SecretVolume>(&projected->sources[i])) check_items(at + ".secret", secret->items);
    if (const auto* downward = std::get_if<DownwardApiVolume>(&projected->sources[i])) check_downward(at + ".downwardAPI", *downward);
  }
}

void Validator::check_volumes() {
  for (size_t i = 0; i < spec_.volumes.size(); ++i) {
    const std::string path = fmt::format("spec.volumes[{}]", i);
    check_label_name(path + ".name", spec_.volumes[i].name);
    check_unique(volumes_, spec_.volumes[i].name, path + ".name", "volume names");
    check_source(path, spec_.volumes[i]);
  }
}

void Validator::check_containers() {
  if (spec_.containers.empty()) error("spec.containers", "is empty; a pod needs at least one container");
  for (size_t i = 0; i < spec_.init_containers.size(); ++i)
    check_container(fmt::format("spec.initContainers[{}]", i), spec_.init_containers[i], Role::kInit);
  for (size_t i = 0; i < spec_.containers.size(); ++i)
    check_container(fmt::format("spec.containers[{}]", i), spec_.containers[i], Role::kRegular);
  for (size_t i = 0; i < spec_.ephemeral_containers.size(); ++i)
    check_container(fmt::format("spec.ephemeralContainers[{}]", i), spec_.ephemeral_containers[i], Role::kEphemeral);
}

void Validator::check_container(const std::string& path, const Container& container, Role role) {
  check_label_name(path + ".name", container.name);
  check_unique(container_names_, container.name, path + ".name", "container names");
  if (container.image.empty()) error(path + ".image", "is required; name an image");
  if (container.image.find_first_of(" \t\n") != std::string::npos)
    error(path + ".image", fmt::format("'{}' contains blanks", container.image));
  check_ports(path, container);
  check_env(path, container);
  check_mounts(path, container);
  check_resources(path + ".resources", container.resources);
  check_security(path + ".securityContext", container);
  if (!container.termination_message_path.empty() && container.termination_message_path[0] != '/')
    error(path + ".terminationMessagePath", fmt::format("'{}' is not absolute", container.termination_message_path));

  const bool sidecar = role == Role::kInit && container.restart_policy == RestartPolicy::kAlways;
  if (role == Role::kEphemeral && container.restart_policy) error(path + ".restartPolicy", "is not allowed on an ephemeral container");
  if (role == Role::kRegular || sidecar) {
    check_probe(path + ".livenessProbe", container.liveness_probe, false);
    check_probe(path + ".readinessProbe", container.readiness_probe, true);
    check_probe(path + ".startupProbe", container.startup_probe, false);
    check_hook(path + ".lifecycle.postStart", container.lifecycle.post_start);
    check_hook(path + ".lifecycle.preStop", container.lifecycle.pre_stop);
    return;
  }
  const std::string fix = role == Role::kInit ? "is not allowed on an init container; set restartPolicy: Always to make it a sidecar"
                                              : "is not allowed on an ephemeral container";
  if (container.liveness_probe) error(path + ".livenessProbe", fix);
  if (container.readiness_probe) error(path + ".readinessProbe", fix);
  if (container.startup_probe) error(path + ".startupProbe", fix);
  if (container.lifecycle.post_start || container.lifecycle.pre_stop) error(path + ".lifecycle", fix);
}

void Validator::check_ports(const std::string& path, const Container& container) {
  std::set<std::string> names;
  for (size_t i = 0; i < container.ports.size(); ++i) {
    const ContainerPort& port = container.ports[i];
    const std::string at = fmt::format("{}.ports[{}]", path, i);
    check_port(at + ".containerPort", port.container_port);
    if (!port.name.empty() && !is_port_name(port.name))
      error(at + ".name", fmt::format("'{}' is not a port name; use at most 15 of a-z, 0-9 and '-', with at least one letter", port.name));
    check_unique(names, port.name, at + ".name", "port names of a container");
    if (port.host_port == 0) continue;
    check_port(at + ".hostPort", port.host_port);
    if (spec_.host_network && port.host_port != port.container_port)
      error(at + ".hostPort", fmt::format("must be {} (the containerPort) with hostNetwork", port.container_port));
    const std::string key = fmt::format("{}/{}/{}", to_string(port.protocol), port.host_ip, port.host_port);
    if (!host_ports_.insert(key).second) error(at + ".hostPort", fmt::format("{} is used twice in this pod", port.host_port));
  }
}

void Validator::check_env(const std::string& path, const Container& container) {
  for (size_t i = 0; i < container.env.size(); ++i) {
    const EnvVar& env = container.env[i];
    const std::string at = fmt::format("{}.env[{}]", path, i);
    if (env.name.empty())
      error(at + ".name", "is required");
    else if (!is_env_name(env.name))
      error(at + ".name", fmt::format("'{}' is not a variable's name; use printable ASCII without '='", env.name));
    if (!env.value.empty() && !std::holds_alternative<std::monostate>(env.value_from))
      error(at + ".valueFrom", "is set together with value; drop one");
    if (const auto* config = std::get_if<ConfigMapKeyRef>(&env.value_from); config != nullptr && config->name.empty())
      error(at + ".valueFrom.configMapKeyRef.name", "is required; name the ConfigMap");
    if (const auto* secret = std::get_if<SecretKeyRef>(&env.value_from); secret != nullptr && secret->name.empty())
      error(at + ".valueFrom.secretKeyRef.name", "is required; name the Secret");
  }
  for (size_t i = 0; i < container.env_from.size(); ++i) {
    const EnvFrom& from = container.env_from[i];
    const std::string at = fmt::format("{}.envFrom[{}]", path, i);
    if (from.name.empty()) error(at + (from.kind == EnvFrom::Kind::kConfigMap ? ".configMapRef.name" : ".secretRef.name"), "is required");
    if (!from.prefix.empty() && !is_env_name(from.prefix))
      error(at + ".prefix", fmt::format("'{}' can't begin a variable's name", from.prefix));
  }
}

void Validator::check_mounts(const std::string& path, const Container& container) {
  std::set<std::string> paths;
  const bool privileged = container.security_context && container.security_context->privileged.value_or(false);
  for (size_t i = 0; i < container.volume_mounts.size(); ++i) {
    const VolumeMount& mount = container.volume_mounts[i];
    const std::string at = fmt::format("{}.volumeMounts[{}]", path, i);
    if (mount.name.empty())
      error(at + ".name", "is required; name a volume");
    else if (!volumes_.contains(mount.name))
      error(at + ".name", fmt::format("the pod has no volume '{}'; add it to spec.volumes{}", mount.name,
                                      volumes_.empty() ? "" : fmt::format(" (there are: {})", fmt::join(volumes_, ", "))));
    if (!mount.mount_path.starts_with('/')) error(at + ".mountPath", fmt::format("'{}' is not absolute", mount.mount_path));
    if (mount.mount_path.find(':') != std::string::npos) error(at + ".mountPath", "must not contain ':'");
    check_unique(paths, mount.mount_path, at + ".mountPath", "mount paths of a container");
    if (!mount.sub_path.empty() && !mount.sub_path_expr.empty()) error(at + ".subPathExpr", "is set together with subPath; drop one");
    if (leaves_volume(mount.sub_path))
      error(at + ".subPath", fmt::format("'{}' leaves the volume; use a relative path without '..'", mount.sub_path));
    if (leaves_volume(mount.sub_path_expr))
      error(at + ".subPathExpr", fmt::format("'{}' leaves the volume; use a relative path without '..'", mount.sub_path_expr));
    if (mount.propagation == VolumeMount::Propagation::kBidirectional && !privileged)
      error(at + ".mountPropagation", "Bidirectional needs securityContext.privileged: true");
    static constexpr std::string_view kRecursive[] = {"", "Disabled", "IfPossible", "Enabled"};
    check_one_of(at + ".recursiveReadOnly", mount.recursive_read_only, kRecursive);
    if ((mount.recursive_read_only == "IfPossible" || mount.recursive_read_only == "Enabled") && !mount.read_only)
      error(at + ".recursiveReadOnly", "needs readOnly: true");
  }
}

void Validator::check_resources(const std::string& path, const Resources& resources) {
  for (const auto& [name, limit] : resources.limits)
    if (limit.milli() < 0) error(fmt::format("{}.limits.{}", path, name), fmt::format("{} is negative", limit.text()));
  for (const auto& [name, request] : resources.requests) {
    const std::string at = fmt::format("{}.requests.{}", path, name);
    if (request.milli() < 0) error(at, fmt::format("{} is negative", request.text()));
    const auto limit = resources.limits.find(name);
    if (limit == resources.limits.end()) continue;
    if (request > limit->second)
      error(at, fmt::format("{} is more than the limit of {}; lower the request or raise the limit", request.text(), limit->second.text()));
    else if (name.starts_with("hugepages-") && request != limit->second)
      error(at, fmt::format("must equal the limit of {}", limit->second.text()));
  }
}

void Validator::check_target_port(const std::string& path, const IntOrString& port) {
  if (const auto* number = std::get_if<int64_t>(&port)) return check_port(path, *number);
  // That the name exists is found out when the probe runs, as with a kubelet.
  if (!is_port_name(std::get<std::string>(port)))
    error(path, fmt::format("'{}' is neither a port number nor a port's name", std::get<std::string>(port)));
}

void Validator::check_http(const std::string& path, const HttpGetAction& action) {
  static constexpr std::string_view kSchemes[] = {"HTTP", "HTTPS"};
  check_one_of(path + ".scheme", action.scheme, kSchemes);
  check_target_port(path + ".port", action.port);
  for (const auto& [name, value] : action.headers)
    if (name.empty() || name.find_first_of(": \r\n") != std::string::npos || value.find_first_of("\r\n") != std::string::npos)
      error(path + ".httpHeaders", fmt::format("'{}' is not a header", name));
}

void Validator::check_action(const std::string& path, const ExecAction& action) {
  if (action.command.empty()) error(path + ".exec.command", "is required");
}

void Validator::check_action(const std::string& path, const SleepAction& action) {
  if (action.seconds < 0 || action.seconds > spec_.termination_grace_period_seconds)
    error(path + ".sleep.seconds",
          fmt::format("{} is not within 0 and terminationGracePeriodSeconds ({})", action.seconds, spec_.termination_grace_period_seconds));
}

void Validator::check_probe(const std::string& path, const std::optional<Probe>& probe, bool readiness) {
  if (!probe) return;
  std::visit([&](const auto& action) { check_action(path, action); }, probe->action);
  check_at_least(path + ".initialDelaySeconds", probe->initial_delay_seconds, 0);
  check_at_least(path + ".timeoutSeconds", probe->timeout_seconds, 1);
  check_at_least(path + ".periodSeconds", probe->period_seconds, 1);
  check_at_least(path + ".successThreshold", probe->success_threshold, 1);
  check_at_least(path + ".failureThreshold", probe->failure_threshold, 1);
  if (!readiness && probe->success_threshold > 1) error(path + ".successThreshold", "must be 1 for liveness and startup probes");
  if (!probe->termination_grace_period_seconds) return;
  if (readiness) error(path + ".terminationGracePeriodSeconds", "is not allowed on a readiness probe");
  check_at_least(path + ".terminationGracePeriodSeconds", *probe->termination_grace_period_seconds, 1);
}

void Validator::check_hook(const std::string& path, const std::optional<HookAction>& hook) {
  if (hook) std::visit([&](const auto& action) { check_action(path, action); }, *hook);
}

void Validator::check_security(const std::string& path, const Container& container) {
  if (!container.security_context) return;
  const SecurityContext& context = *container.security_context;
  for (const auto* id : {&context.run_as_user, &context.run_as_group})
    if (*id && (**id < 0 || **id > 2147483647)) error(path, fmt::format("{} is not a user or group id; use 0 to 2147483647", **id));
  if (context.allow_privilege_escalation == false && context.privileged == true)
    error(path + ".allowPrivilegeEscalation", "can't be false for a privileged container");
  static constexpr std::string_view kProcMounts[] = {"", "Default", "Unmasked"};
  check_one_of(path + ".procMount", context.proc_mount, kProcMounts);
  static constexpr std::string_view kProfiles[] = {"RuntimeDefault", "Unconfined", "Localhost"};
  const auto check_profile = [&](const auto& profile, std::string_view name) {
    if (!profile) return;
    check_one_of(fmt::format("{}.{}.type", path, name), profile->type, kProfiles);
    if ((profile->type == "Localhost") == profile->localhost_profile.empty())
      error(fmt::format("{}.{}.localhostProfile", path, name), "is required for type Localhost, and for no other");
  };
  check_profile(context.seccomp_profile, "seccompProfile");
  check_profile(context.app_armor_profile, "appArmorProfile");
}

}  // namespace

std::vector<FieldError> validate(const Pod& pod) { return Validator(pod).run(); }

}  // namespace pintle::model
