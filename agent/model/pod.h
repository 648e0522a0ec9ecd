// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A pod as desired: metadata and spec. Field names follow the Kubernetes API in snake_case. Fields that only the
// control plane acts on (affinity, scheduling gates …) are accepted by codec and not kept.
// Plain values; defaulting is in defaults.h, validation in validate.h.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/quantity.h"
#include "model/meta.h"

namespace pintle::model {

enum class RestartPolicy { kAlways, kOnFailure, kNever };
enum class PullPolicy { kAlways, kIfNotPresent, kNever };
enum class Protocol { kTcp, kUdp, kSctp };
enum class DnsPolicy { kClusterFirst, kClusterFirstWithHostNet, kDefault, kNone };
enum class QosClass { kGuaranteed, kBurstable, kBestEffort };
enum class MessagePolicy { kFile, kFallbackToLogsOnError };

// A port given by number or by the name of a container port.
using IntOrString = std::variant<int64_t, std::string>;
using ResourceList = std::map<std::string, Quantity>;

struct Resources {
  ResourceList limits, requests;
  bool operator==(const Resources&) const = default;
};

struct KeySelector {  // configMapKeyRef, secretKeyRef
  std::string name, key;
  bool optional = false;
  bool operator==(const KeySelector&) const = default;
};
struct FieldRef {
  std::string field_path;
  bool operator==(const FieldRef&) const = default;
};
struct ResourceFieldRef {
  std::string container_name, resource;
  std::optional<Quantity> divisor;
  bool operator==(const ResourceFieldRef&) const = default;
};
struct ConfigMapKeyRef : KeySelector {};
struct SecretKeyRef : KeySelector {};
using EnvValueSource = std::variant<std::monostate, FieldRef, ResourceFieldRef, ConfigMapKeyRef, SecretKeyRef>;

struct EnvVar {
  std::string name, value;
  EnvValueSource value_from;
  bool operator==(const EnvVar&) const = default;
};
struct EnvFrom {
  enum class Kind { kConfigMap, kSecret };
  Kind kind = Kind::kConfigMap;
  std::string prefix, name;
  bool optional = false;
  bool operator==(const EnvFrom&) const = default;
};

struct ContainerPort {
  std::string name, host_ip;
  int32_t container_port = 0;
  int32_t host_port = 0;
  Protocol protocol = Protocol::kTcp;
  bool operator==(const ContainerPort&) const = default;
};

struct VolumeMount {
  enum class Propagation { kNone, kHostToContainer, kBidirectional };
  std::string name, mount_path, sub_path, sub_path_expr;
  bool read_only = false;
  std::string recursive_read_only;  // "", Disabled, IfPossible, Enabled
  Propagation propagation = Propagation::kNone;
  bool operator==(const VolumeMount&) const = default;
};
struct VolumeDevice {
  std::string name, device_path;
  bool operator==(const VolumeDevice&) const = default;
};

struct ExecAction {
  std::vector<std::string> command;
  bool operator==(const ExecAction&) const = default;
};
struct HttpGetAction {
  std::string path, host, scheme = "HTTP";
  IntOrString port = int64_t{0};
  std::vector<std::pair<std::string, std::string>> headers;
  bool operator==(const HttpGetAction&) const = default;
};
struct TcpSocketAction {
  std::string host;
  IntOrString port = int64_t{0};
  bool operator==(const TcpSocketAction&) const = default;
};
struct GrpcAction {
  int32_t port = 0;
  std::string service;
  bool operator==(const GrpcAction&) const = default;
};
struct SleepAction {
  int64_t seconds = 0;
  bool operator==(const SleepAction&) const = default;
};

struct Probe {
  std::variant<ExecAction, HttpGetAction, TcpSocketAction, GrpcAction> action;
  int32_t initial_delay_seconds = 0;
  int32_t timeout_seconds = 1;
  int32_t period_seconds = 10;
  int32_t success_threshold = 1;
  int32_t failure_threshold = 3;
  std::optional<int64_t> termination_grace_period_seconds;
  bool operator==(const Probe&) const = default;
};
using HookAction = std::variant<ExecAction, HttpGetAction, TcpSocketAction, SleepAction>;
struct Lifecycle {
  std::optional<HookAction> post_start, pre_stop;
  bool operator==(const Lifecycle&) const = default;
};

struct Capabilities {
  std::vector<std::string> add, drop;
  bool operator==(const Capabilities&) const = default;
};
struct SeccompProfile {
  std::string type, localhost_profile;  // RuntimeDefault, Unconfined, Localhost
  bool operator==(const SeccompProfile&) const = default;
};
struct AppArmorProfile {
  std::string type, localhost_profile;
  bool operator==(const AppArmorProfile&) const = default;
};
struct SeLinuxOptions {
  std::string user, role, type, level;
  bool operator==(const SeLinuxOptions&) const = default;
};
struct SecurityContext {
  std::optional<Capabilities> capabilities;
  std::optional<bool> privileged, run_as_non_root, read_only_root_filesystem, allow_privilege_escalation;
  std::optional<int64_t> run_as_user, run_as_group;
  std::string proc_mount;
  std::optional<SeccompProfile> seccomp_profile;
  std::optional<AppArmorProfile> app_armor_profile;
  std::optional<SeLinuxOptions> se_linux_options;
  bool operator==(const SecurityContext&) const = default;
};
struct PodSecurityContext {
  std::optional<int64_t> run_as_user, run_as_group, fs_group;
  std::optional<bool> run_as_non_root;
  std::vector<int64_t> supplemental_groups;
  std::string supplemental_groups_policy;  // "", Merge, Strict
  std::string fs_group_change_policy;
  StringMap sysctls;
  std::optional<SeccompProfile> seccomp_profile;
  std::optional<AppArmorProfile> app_armor_profile;
  std::optional<SeLinuxOptions> se_linux_options;
  bool operator==(const PodSecurityContext&) const = default;
};

struct Container {
  std::string name, image, working_dir;
  std::vector<std::string> command, args;
  std::optional<PullPolicy> image_pull_policy;
  std::vector<ContainerPort> ports;
  std::vector<EnvFrom> env_from;
  std::vector<EnvVar> env;
  Resources resources;
  std::optional<RestartPolicy> restart_policy;  // kAlways on an init container makes it a sidecar
  std::vector<VolumeMount> volume_mounts;
  std::vector<VolumeDevice> volume_devices;
  std::optional<Probe> liveness_probe, readiness_probe, startup_probe;
  Lifecycle lifecycle;
  std::string termination_message_path = "/dev/termination-log";
  MessagePolicy termination_message_policy = MessagePolicy::kFile;
  std::optional<SecurityContext> security_context;
  bool stdin = false, stdin_once = false, tty = false;
  bool operator==(const Container&) const = default;
};

struct KeyToPath {
  std::string key, path;
  std::optional<int32_t> mode;
  bool operator==(const KeyToPath&) const = default;
};
struct EmptyDirVolume {
  std::string medium;  // "", Memory, HugePages…
  std::optional<Quantity> size_limit;
  bool operator==(const EmptyDirVolume&) const = default;
};
struct HostPathVolume {
  std::string path, type;
  bool operator==(const HostPathVolume&) const = default;
};
struct ConfigMapVolume {
  std::string name;
  std::vector<KeyToPath> items;
  std::optional<int32_t> default_mode;
  bool optional = false;
  bool operator==(const ConfigMapVolume&) const = default;
};
struct SecretVolume {
  std::string name;
  std::vector<KeyToPath> items;
  std::optional<int32_t> default_mode;
  bool optional = false;
  bool operator==(const SecretVolume&) const = default;
};
struct DownwardItem {
  std::string path;
  std::variant<FieldRef, ResourceFieldRef> source;
  std::optional<int32_t> mode;
  bool operator==(const DownwardItem&) const = default;
};
struct DownwardApiVolume {
  std::vector<DownwardItem> items;
  std::optional<int32_t> default_mode;
  bool operator==(const DownwardApiVolume&) const = default;
};
struct TokenProjection {
  std::string audience, path;
  int64_t expiration_seconds = 3600;
  bool operator==(const TokenProjection&) const = default;
};
using ProjectedSource = std::variant<TokenProjection, ConfigMapVolume, SecretVolume, DownwardApiVolume>;
struct ProjectedVolume {
  std::vector<ProjectedSource> sources;
  std::optional<int32_t> default_mode;
  bool operator==(const ProjectedVolume&) const = default;
};
// A volume kind that is known to Kubernetes and not (yet) to Pintle: the pod is held with this kind's name.
struct UnsupportedVolume {
  std::string kind;
  bool operator==(const UnsupportedVolume&) const = default;
};
struct Volume {
  std::string name;
  std::variant<EmptyDirVolume, HostPathVolume, ConfigMapVolume, SecretVolume, DownwardApiVolume, ProjectedVolume, UnsupportedVolume> source;
  bool operator==(const Volume&) const = default;
};

struct HostAlias {
  std::string ip;
  std::vector<std::string> hostnames;
  bool operator==(const HostAlias&) const = default;
};
struct DnsOption {
  std::string name;
  std::optional<std::string> value;
  bool operator==(const DnsOption&) const = default;
};
struct DnsConfig {
  std::vector<std::string> nameservers, searches;
  std::vector<DnsOption> options;
  bool operator==(const DnsConfig&) const = default;
};
struct Toleration {
  std::string key, op, value, effect;
  std::optional<int64_t> seconds;
  bool operator==(const Toleration&) const = default;
};

struct PodSpec {
  std::vector<Container> init_containers, containers, ephemeral_containers;
  std::vector<Volume> volumes;
  RestartPolicy restart_policy = RestartPolicy::kAlways;
  int64_t termination_grace_period_seconds = 30;
  std::optional<int64_t> active_deadline_seconds;
  DnsPolicy dns_policy = DnsPolicy::kClusterFirst;
  std::optional<DnsConfig> dns_config;
  StringMap node_selector;
  std::string service_account_name, node_name, hostname, subdomain, priority_class_name, runtime_class_name;
  bool host_network = false, host_pid = false, host_ipc = false;
  std::optional<bool> host_users;
  bool share_process_namespace = false;
  bool set_hostname_as_fqdn = false;
  bool enable_service_links = true;
  std::optional<bool> automount_service_account_token;
  std::optional<int32_t> priority;
  PodSecurityContext security_context;
  std::vector<std::string> image_pull_secrets;
  std::vector<HostAlias> host_aliases;
  std::vector<Toleration> tolerations;
  std::vector<std::string> readiness_gates;
  ResourceList overhead;
  bool operator==(const PodSpec&) const = default;
};

}  // namespace pintle::model
