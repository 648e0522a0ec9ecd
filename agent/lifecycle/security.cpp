// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "lifecycle/security.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::lifecycle {
namespace {

using model::LinuxSecurity;
using model::NamespaceMode;

constexpr const char* kMasked[] = {"/proc/asound",      "/proc/acpi",          "/proc/interrupts", "/proc/kcore",
                                   "/proc/keys",        "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                                   "/proc/sched_debug", "/proc/scsi",          "/sys/firmware",    "/sys/devices/virtual/powercap"};
constexpr const char* kReadonly[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};

model::NamespaceOptions namespaces(const model::PodSpec& spec) {
  model::NamespaceOptions out;
  if (spec.host_network) out.network = NamespaceMode::kNode;
  if (spec.host_ipc) out.ipc = NamespaceMode::kNode;
  out.pid = spec.host_pid ? NamespaceMode::kNode : spec.share_process_namespace ? NamespaceMode::kPod : NamespaceMode::kContainer;
  return out;
}

std::vector<int64_t> groups(const model::PodSecurityContext& context) {
  std::vector<int64_t> out;
  if (context.fs_group) out.push_back(*context.fs_group);
  out.insert(out.end(), context.supplemental_groups.begin(), context.supplemental_groups.end());
  return out;
}

model::SeccompProfile seccomp_of(const std::optional<model::SeccompProfile>& own, const std::optional<model::SeccompProfile>& pods,
                                 const std::string& root) {
  model::SeccompProfile profile = own ? *own : pods ? *pods : model::SeccompProfile{"Unconfined", ""};
  if (profile.type == "Localhost" && !profile.localhost_profile.starts_with('/'))
    profile.localhost_profile = root + "/" + profile.localhost_profile;
  return profile;
}

// Rows 16.2, 16.3. An image that names no user runs as root.
Status set_user(LinuxSecurity& out, const model::Pod& pod, const model::Container& container, const model::ImageInfo& image) {
  static const model::SecurityContext kNone;
  const auto& own = container.security_context ? *container.security_context : kNone;
  const auto& pods = pod.spec.security_context;
  const auto asked = own.run_as_user ? own.run_as_user : pods.run_as_user;
  const std::string where =
      fmt::format("(pod: \"{}_{}({})\", container: {})", pod.metadata.name, pod.metadata.namespace_, pod.metadata.uid, container.name);
  const bool non_root = own.run_as_non_root ? *own.run_as_non_root : pods.run_as_non_root.value_or(false);
  out.run_as_group = own.run_as_group ? own.run_as_group : pods.run_as_group;
  if (asked) {
    if (non_root && *asked == 0) return fail(Code::kInvalid, "container's runAsUser breaks non-root policy " + where);
    out.run_as_user = asked;
    return {};
  }
  if (!image.uid && !image.username.empty()) {
    if (non_root)
      return fail(Code::kInvalid,
                  fmt::format("container has runAsNonRoot and image has non-numeric user ({}), cannot verify user is non-root {}",
                              image.username, where));
    out.run_as_username = image.username;
    return {};
  }
  const int64_t uid = image.uid.value_or(0);
  if (non_root && uid == 0) return fail(Code::kInvalid, "container has runAsNonRoot and image will run as root " + where);
  out.run_as_user = uid;
  return {};
}

}  // namespace

LinuxSecurity sandbox_security(const model::Pod& pod) {
  LinuxSecurity out;
  const auto& context = pod.spec.security_context;
  out.namespaces = namespaces(pod.spec);
  out.run_as_user = context.run_as_user;
  out.run_as_group = context.run_as_group;
  out.supplemental_groups = groups(context);
  out.seccomp = model::SeccompProfile{"RuntimeDefault", ""};
  out.se_linux = context.se_linux_options;
  const auto privileged = [](const model::Container& c) { return c.security_context && c.security_context->privileged.value_or(false); };
  for (const auto* list : {&pod.spec.init_containers, &pod.spec.containers})
    out.privileged = out.privileged || std::any_of(list->begin(), list->end(), privileged);
  return out;
}

Result<LinuxSecurity> container_security(const model::Pod& pod, const model::Container& container, const NodeFacts& node,
                                         const model::ImageInfo& image, const std::string& target_id) {
  static const model::SecurityContext kNone;
  const auto& own = container.security_context ? *container.security_context : kNone;
  const auto& pods = pod.spec.security_context;
  LinuxSecurity out;
  out.namespaces = namespaces(pod.spec);
  if (!target_id.empty()) {
    out.namespaces.pid = NamespaceMode::kTarget;
    out.namespaces.target_id = target_id;
  }
  PINTLE_TRY(set_user(out, pod, container, image));
  out.supplemental_groups = groups(pods);
  if (own.capabilities) {
    out.add_capabilities = own.capabilities->add;
    out.drop_capabilities = own.capabilities->drop;
  }
  out.privileged = own.privileged.value_or(false);
  out.read_only_root_filesystem = own.read_only_root_filesystem.value_or(false);
  out.no_new_privs = own.allow_privilege_escalation.has_value() && !*own.allow_privilege_escalation;
  if (own.proc_mount != "Unmasked") {
    out.masked_paths.assign(std::begin(kMasked), std::end(kMasked));
    out.masked_paths.insert(out.masked_paths.end(), node.extra_masked_paths.begin(), node.extra_masked_paths.end());
    out.readonly_paths.assign(std::begin(kReadonly), std::end(kReadonly));
  }
  out.seccomp = seccomp_of(own.seccomp_profile, pods.seccomp_profile, node.seccomp_root);
  out.app_armor = own.app_armor_profile ? own.app_armor_profile : pods.app_armor_profile;
  out.se_linux = own.se_linux_options ? own.se_linux_options : pods.se_linux_options;
  return out;
}

}  // namespace pintle::lifecycle
