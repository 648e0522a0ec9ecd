// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What Pintle asks of a container runtime and what it sees there, free of any wire format. The CRI adapter
// translates these to and from runtime.v1. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/time.h"
#include "model/pod.h"

namespace pintle::model {

// Label and annotation keys (facts rows 17.1–17.4); the kubelet's own, so that crictl and other tools read them.
inline constexpr std::string_view kLabelPodName = "io.kubernetes.pod.name";
inline constexpr std::string_view kLabelPodNamespace = "io.kubernetes.pod.namespace";
inline constexpr std::string_view kLabelPodUid = "io.kubernetes.pod.uid";
inline constexpr std::string_view kLabelContainerName = "io.kubernetes.container.name";
inline constexpr std::string_view kAnnotationHash = "io.kubernetes.container.hash";
inline constexpr std::string_view kAnnotationRestartCount = "io.kubernetes.container.restartCount";
inline constexpr std::string_view kAnnotationMessagePath = "io.kubernetes.container.terminationMessagePath";
inline constexpr std::string_view kAnnotationMessagePolicy = "io.kubernetes.container.terminationMessagePolicy";
inline constexpr std::string_view kAnnotationGrace = "io.kubernetes.pod.terminationGracePeriod";
inline constexpr std::string_view kAnnotationPorts = "io.kubernetes.container.ports";
inline constexpr std::string_view kAnnotationPreStop = "io.kubernetes.container.preStopHandler";

enum class NamespaceMode { kPod, kContainer, kNode, kTarget };
struct NamespaceOptions {
  NamespaceMode network = NamespaceMode::kPod;
  NamespaceMode pid = NamespaceMode::kContainer;
  NamespaceMode ipc = NamespaceMode::kPod;
  std::string target_id;
  bool operator==(const NamespaceOptions&) const = default;
};

// CRI LinuxContainerResources; zero means "not sent" except where said.
struct LinuxResources {
  int64_t cpu_period = 0, cpu_quota = 0, cpu_shares = 0;
  int64_t memory_limit_bytes = 0, memory_swap_limit_bytes = 0;
  int64_t oom_score_adj = 0;
  StringMap unified;
  bool operator==(const LinuxResources&) const = default;
};

struct LinuxSecurity {
  NamespaceOptions namespaces;
  std::optional<int64_t> run_as_user, run_as_group;
  std::string run_as_username;
  std::vector<int64_t> supplemental_groups;
  std::vector<std::string> add_capabilities, drop_capabilities;
  bool privileged = false, read_only_root_filesystem = false, no_new_privs = false;
  std::vector<std::string> masked_paths, readonly_paths;
  std::optional<SeccompProfile> seccomp;  // localhost_profile is an absolute path here
  std::optional<AppArmorProfile> app_armor;
  std::optional<SeLinuxOptions> se_linux;
  bool operator==(const LinuxSecurity&) const = default;
};

struct PortMapping {
  Protocol protocol = Protocol::kTcp;
  int32_t container_port = 0, host_port = 0;
  std::string host_ip;
  bool operator==(const PortMapping&) const = default;
};
struct ResolvedDns {
  std::vector<std::string> servers, searches, options;
  bool operator==(const ResolvedDns&) const = default;
};

struct SandboxConfig {
  std::string name, namespace_, uid;
  uint32_t attempt = 0;
  std::string hostname, log_directory, cgroup_parent, runtime_handler;
  std::optional<ResolvedDns> dns;  // absent: the runtime copies the host's resolv.conf
  std::vector<PortMapping> port_mappings;
  StringMap labels, annotations, sysctls;
  LinuxSecurity security;
  LinuxResources resources;
  bool operator==(const SandboxConfig&) const = default;
};

struct Mount {
  std::string container_path, host_path;
  bool read_only = false;
  VolumeMount::Propagation propagation = VolumeMount::Propagation::kNone;
  bool operator==(const Mount&) const = default;
};

struct ContainerConfig {
  std::string name;
  uint32_t attempt = 0;
  std::string image_ref, user_specified_image;
  std::vector<std::string> command, args;
  std::string working_dir, log_path;
  std::vector<std::pair<std::string, std::string>> envs;
  std::vector<Mount> mounts;
  StringMap labels, annotations;
  bool stdin = false, stdin_once = false, tty = false;
  LinuxSecurity security;
  LinuxResources resources;
  bool operator==(const ContainerConfig&) const = default;
};

// --- what is seen -------------------------------------------------------------------------------------------

enum class SandboxState { kReady, kNotReady };
struct ObservedSandbox {
  SandboxId id;
  std::string name, namespace_;
  PodUid uid;
  uint32_t attempt = 0;
  SandboxState state = SandboxState::kNotReady;
  Time created_at;
  std::vector<std::string> ips;  // filled by a status read, empty in a list
  bool host_network = false;
  StringMap labels, annotations;
  bool operator==(const ObservedSandbox&) const = default;
};

enum class RunState { kCreated, kRunning, kExited, kUnknown };
struct ObservedContainer {
  ContainerId id;
  SandboxId sandbox_id;
  PodUid uid;
  std::string name, pod_name, pod_namespace;
  uint32_t attempt = 0;
  RunState state = RunState::kUnknown;
  Time created_at, started_at, finished_at;
  int32_t exit_code = 0;
  std::string reason, message;  // from the runtime: Completed, Error, OOMKilled …
  std::string image, image_ref, log_path;
  StringMap labels, annotations;
  bool detailed = false;  // true when it came from a status read: times, exit code and reason are valid
  int64_t pid = 0;        // of the first process, 0 if the runtime does not tell
  bool operator==(const ObservedContainer&) const = default;
};

// All the runtime holds of one pod. Newest first in both lists.
struct ObservedPod {
  PodUid uid;
  std::vector<ObservedSandbox> sandboxes;
  std::vector<ObservedContainer> containers;
  bool operator==(const ObservedPod&) const = default;
};

struct RuntimeVersion {
  std::string name, version, api_version;
};
struct RuntimeCondition {
  bool ok = false;
  std::string reason, message;
};
struct RuntimeStatus {
  RuntimeCondition runtime_ready, network_ready;
};

struct ImageInfo {
  std::string id;  // the runtime's reference, as goes to ContainerConfig::image_ref
  std::vector<std::string> repo_tags, repo_digests;
  uint64_t size_bytes = 0;
  std::optional<int64_t> uid;
  std::string username;
  bool pinned = false;
};
struct RegistryAuth {
  std::string username, password, server;
};

struct ExecResult {
  int32_t exit_code = 0;
  std::string stdout_text, stderr_text;
};

// One line of the runtime's event stream. A reason to look, never a state.
struct RuntimeEvent {
  PodUid uid;
  ContainerId container_id;
};

}  // namespace pintle::model
