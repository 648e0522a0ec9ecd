// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cri/to_proto.h"

namespace pintle::cri {
namespace {

namespace rt = runtime::v1;

rt::NamespaceMode mode(model::NamespaceMode value) {
  switch (value) {
    case model::NamespaceMode::kPod: return rt::POD;
    case model::NamespaceMode::kContainer: return rt::CONTAINER;
    case model::NamespaceMode::kNode: return rt::NODE;
    case model::NamespaceMode::kTarget: return rt::TARGET;
  }
  return rt::POD;
}

rt::Protocol protocol(model::Protocol value) {
  switch (value) {
    case model::Protocol::kTcp: return rt::TCP;
    case model::Protocol::kUdp: return rt::UDP;
    case model::Protocol::kSctp: return rt::SCTP;
  }
  return rt::TCP;
}

rt::MountPropagation propagation(model::VolumeMount::Propagation value) {
  switch (value) {
    case model::VolumeMount::Propagation::kNone: return rt::PROPAGATION_PRIVATE;
    case model::VolumeMount::Propagation::kHostToContainer: return rt::PROPAGATION_HOST_TO_CONTAINER;
    case model::VolumeMount::Propagation::kBidirectional: return rt::PROPAGATION_BIDIRECTIONAL;
  }
  return rt::PROPAGATION_PRIVATE;
}

template <typename Repeated>
void fill(const std::vector<std::string>& from, Repeated* out) {
  for (const auto& text : from) *out->Add() = text;
}

template <typename Map>
void fill(const model::StringMap& from, Map* out) {
  for (const auto& [key, value] : from) (*out)[key] = value;
}

// SeccompProfile and AppArmorProfile have the same two fields; an unknown type is the runtime's default, which only confines more.
template <typename Profile>
void fill_profile(const Profile& from, rt::SecurityProfile* out) {
  if (from.type == "Unconfined") {
    out->set_profile_type(rt::SecurityProfile::Unconfined);
  } else if (from.type == "Localhost") {
    out->set_profile_type(rt::SecurityProfile::Localhost);
    out->set_localhost_ref(from.localhost_profile);
  } else {
    out->set_profile_type(rt::SecurityProfile::RuntimeDefault);
  }
}

// Row 16.8: the older field takes one text.
std::string old_apparmor_text(const model::AppArmorProfile& profile) {
  if (profile.type == "Unconfined") return "unconfined";
  if (profile.type == "Localhost") return "localhost/" + profile.localhost_profile;
  return "runtime/default";
}

void fill_namespaces(const model::NamespaceOptions& from, rt::NamespaceOption* out) {
  out->set_network(mode(from.network));
  out->set_pid(mode(from.pid));
  out->set_ipc(mode(from.ipc));
  out->set_target_id(from.target_id);
  out->mutable_userns_options()->set_mode(rt::NODE);  // row 16.13: always said
}

// What the sandbox's and a container's security context have in common.
template <typename Context>
void fill_security(const model::LinuxSecurity& from, Context* out) {
  fill_namespaces(from.namespaces, out->mutable_namespace_options());
  if (from.run_as_user) out->mutable_run_as_user()->set_value(*from.run_as_user);
  if (from.run_as_group) out->mutable_run_as_group()->set_value(*from.run_as_group);
  for (const int64_t group : from.supplemental_groups) out->add_supplemental_groups(group);
  out->set_privileged(from.privileged);
  out->set_readonly_rootfs(from.read_only_root_filesystem);
  if (from.seccomp) fill_profile(*from.seccomp, out->mutable_seccomp());
  if (from.app_armor) fill_profile(*from.app_armor, out->mutable_apparmor());
  if (from.se_linux) {
    auto* selinux = out->mutable_selinux_options();
    selinux->set_user(from.se_linux->user);
    selinux->set_role(from.se_linux->role);
    selinux->set_type(from.se_linux->type);
    selinux->set_level(from.se_linux->level);
  }
}

void fill_container_security(const model::LinuxSecurity& from, rt::LinuxContainerSecurityContext* out) {
  fill_security(from, out);
  if (!from.add_capabilities.empty() || !from.drop_capabilities.empty()) {
    fill(from.add_capabilities, out->mutable_capabilities()->mutable_add_capabilities());
    fill(from.drop_capabilities, out->mutable_capabilities()->mutable_drop_capabilities());
  }
  out->set_run_as_username(from.run_as_username);
  out->set_no_new_privs(from.no_new_privs);
  fill(from.masked_paths, out->mutable_masked_paths());
  fill(from.readonly_paths, out->mutable_readonly_paths());
  if (from.app_armor) out->set_apparmor_profile(old_apparmor_text(*from.app_armor));
}

}  // namespace

void to_proto(const model::LinuxResources& resources, rt::LinuxContainerResources* out) {
  out->set_cpu_period(resources.cpu_period);
  out->set_cpu_quota(resources.cpu_quota);
  out->set_cpu_shares(resources.cpu_shares);
  out->set_memory_limit_in_bytes(resources.memory_limit_bytes);
  out->set_memory_swap_limit_in_bytes(resources.memory_swap_limit_bytes);
  out->set_oom_score_adj(resources.oom_score_adj);
  fill(resources.unified, out->mutable_unified());
}

void to_proto(const model::SandboxConfig& config, rt::PodSandboxConfig* out) {
  auto* metadata = out->mutable_metadata();
  metadata->set_name(config.name);
  metadata->set_namespace_(config.namespace_);
  metadata->set_uid(config.uid);
  metadata->set_attempt(config.attempt);
  out->set_hostname(config.hostname);
  out->set_log_directory(config.log_directory);
  if (config.dns) {
    fill(config.dns->servers, out->mutable_dns_config()->mutable_servers());
    fill(config.dns->searches, out->mutable_dns_config()->mutable_searches());
    fill(config.dns->options, out->mutable_dns_config()->mutable_options());
  }
  for (const auto& port : config.port_mappings) {
    auto* mapping = out->add_port_mappings();
    mapping->set_protocol(protocol(port.protocol));
    mapping->set_container_port(port.container_port);
    mapping->set_host_port(port.host_port);
    mapping->set_host_ip(port.host_ip);
  }
  fill(config.labels, out->mutable_labels());
  fill(config.annotations, out->mutable_annotations());

  auto* linux_config = out->mutable_linux();
  linux_config->set_cgroup_parent(config.cgroup_parent);
  fill_security(config.security, linux_config->mutable_security_context());
  fill(config.sysctls, linux_config->mutable_sysctls());
  (void)linux_config->mutable_overhead();  // present and empty, as the kubelet sends it
  to_proto(config.resources, linux_config->mutable_resources());
}

void to_proto(const model::ContainerConfig& config, rt::ContainerConfig* out) {
  out->mutable_metadata()->set_name(config.name);
  out->mutable_metadata()->set_attempt(config.attempt);
  out->mutable_image()->set_image(config.image_ref);
  out->mutable_image()->set_user_specified_image(config.user_specified_image);
  fill(config.command, out->mutable_command());
  fill(config.args, out->mutable_args());
  out->set_working_dir(config.working_dir);
  for (const auto& [key, value] : config.envs) {
    auto* env = out->add_envs();
    env->set_key(key);
    env->set_value(value);
  }
  for (const auto& from : config.mounts) {
    auto* mount = out->add_mounts();
    mount->set_container_path(from.container_path);
    mount->set_host_path(from.host_path);
    mount->set_readonly(from.read_only);
    mount->set_propagation(propagation(from.propagation));
  }
  fill(config.labels, out->mutable_labels());
  fill(config.annotations, out->mutable_annotations());
  out->set_log_path(config.log_path);
  out->set_stdin(config.stdin);
  out->set_stdin_once(config.stdin_once);
  out->set_tty(config.tty);
  to_proto(config.resources, out->mutable_linux()->mutable_resources());
  fill_container_security(config.security, out->mutable_linux()->mutable_security_context());
}

void to_proto(const model::RegistryAuth& auth, rt::AuthConfig* out) {
  out->set_username(auth.username);
  out->set_password(auth.password);
  out->set_server_address(auth.server);
}

}  // namespace pintle::cri
