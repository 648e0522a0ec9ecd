// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The daemon's configuration as typed values. The file is a KubeletConfiguration (kubelet.config.k8s.io/v1beta1) or a
// PintleConfiguration (pintle.dev/v1): the same fields, with Pintle's own under `pintle:`. An existing kubelet's file
// can be given as it is. Strict: an unknown field, a wrong type or a bad value is kInvalid, and every one is named with
// file, line, field and fix. Fields that a kubelet has and Pintle does not act on are listed in `warnings`, never silent.
// Plain values; any thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "base/quantity.h"
#include "base/result.h"
#include "base/time.h"
#include "config/otlp.h"
#include "model/ebpf.h"
#include "model/node.h"
#include "model/program_settings.h"

namespace pintle::config {

// kCompanion: beside a kubelet that owns the pods; only their eBPF programs are ours (app/companion.h).
enum class Mode { kStandalone, kNode, kCompanion };
[[nodiscard]] std::string_view to_string(Mode mode);
enum class CgroupDriver { kCgroupfs, kSystemd };
[[nodiscard]] std::string_view to_string(CgroupDriver driver);

// "memory.available < 100Mi" or "nodefs.available < 10%".
struct EvictionThreshold {
  std::optional<Quantity> quantity;
  double percent = 0;  // used if there is no quantity
  bool operator==(const EvictionThreshold&) const = default;
};

struct EbpfOptions {
  // Best effort unless asked for: a pod must not be held on a kernel that lacks a hook because nobody chose. What is missing is
  // shown in every status, and a pod that must not run without its programs says so by its annotation, or the node here.
  model::EbpfPolicy policy = model::EbpfPolicy::kBestEffort;
  std::string bpffs = "/sys/fs/bpf";
  // Operators' programs (docs/programs.md): a folder, and a namespace whose labelled ConfigMaps hold some; empty: off.
  std::string programs_folder = "/etc/pintle/programs.d";
  std::string programs_namespace;
  // Which programs pods get, where the node has no label pintle.dev/program-set: the ones compiled in, or <sets_folder>/<name>/….
  std::string program_set{model::kBuiltinSet};
  std::string sets_folder = "/etc/pintle/program-sets";
  // trace, networkPolicy, networkPolicyFailure, denyDevices, sysctlWrites, denySockopts: what a pod's annotations go over.
  model::ProgramSettings programs;
  // Not chosen: closed in standalone mode; open in mode node, where the credentials of a kubelet may not read policies.
  std::optional<model::PolicyFailure> network_policy_failure;
  [[nodiscard]] bool operator==(const EbpfOptions&) const = default;
};

// Companion: whether the runtime is asked to hold containers back until their pod's programs are in force (nri/plugin.h).
enum class NriMode { kAuto, kRequired, kOff };  // kAuto: where the runtime offers it
[[nodiscard]] std::string_view to_string(NriMode mode);
struct NriOptions {
  NriMode mode = NriMode::kAuto;
  bool fail_closed = true;  // a container of a pod that requires its programs is refused when they are not in force in time
  std::string socket = "/var/run/nri/nri.sock";
  Duration timeout = std::chrono::milliseconds{500};  // for one container; runtimes drop a plugin after 2 s
  bool operator==(const NriOptions&) const = default;
};

struct PintleOptions {
  Mode mode = Mode::kStandalone;
  std::string node_name;   // empty: the host's name (see load)
  std::string node_ip;     // empty: that of the default route
  std::string kubeconfig;  // companion: empty means the pod's own service account
  std::string root_dir = "/var/lib/pintle";
  std::string run_dir = "/run/pintle";
  // Where collectors of logs look for links to those of containers, as a kubelet makes them; empty: none are made.
  std::string container_logs_dir = "/var/log/containers";
  std::string control_socket;             // empty in the file: run_dir + "/pintle.sock"
  std::string listen = "127.0.0.1:6443";  // standalone's API endpoint
  std::string cgroup_mount;               // companion: where the node's cgroup2 tree is mounted; empty: looked for
  std::string node_network;               // companion: a folder with the node's fib_trie and if_inet6; empty: its network is ours
  NriOptions nri;                         // companion
  model::StringMap node_labels;
  EbpfOptions ebpf;
  std::string metrics_listen = "127.0.0.1:9810";  // GET /metrics; empty: off
  // Programs that are asked for the credentials of images, as a kubelet's flags of these names have it; both or neither.
  std::string image_credential_provider_config, image_credential_provider_bin_dir;
  std::string events_json;  // a file to which events of programs go, or "stdout"; empty: off
  OtlpOptions otlp;
  bool operator==(const PintleOptions&) const = default;
};

struct AgentConfig {
  PintleOptions pintle;

  // Sources and runtime. Standalone reads /etc/pintle/manifests if no path is given.
  std::string static_pod_path;
  std::string container_runtime_endpoint = "unix:///run/containerd/containerd.sock";
  std::string image_service_endpoint;  // empty: the same as the runtime's
  Duration runtime_request_timeout = std::chrono::minutes{2};
  std::string pod_logs_dir = "/var/log/pods";
  bool serialize_image_pulls = true;
  std::optional<int32_t> max_parallel_image_pulls;
  Duration max_container_restart_period = std::chrono::minutes{5};

  // Resources.
  std::string cgroup_root = "/";
  CgroupDriver cgroup_driver = CgroupDriver::kCgroupfs;
  int64_t pod_pids_limit = -1;  // -1: none
  int32_t max_pods = 110;
  model::ResourceList system_reserved, kube_reserved;
  std::map<std::string, EvictionThreshold> eviction_hard;
  std::vector<std::string> enforce_node_allocatable = {"pods"};
  bool fail_swap_on = true;

  // Names and addresses given to pods.
  std::vector<std::string> cluster_dns;
  std::string cluster_domain;
  std::string resolv_conf = "/etc/resolv.conf";

  // The node object and the API.
  bool register_node = true;
  std::vector<model::Taint> register_with_taints;
  Duration node_status_update_frequency = std::chrono::seconds{10};
  Duration node_status_report_frequency = std::chrono::minutes{5};
  std::chrono::seconds node_lease_duration{40};
  int32_t kube_api_qps = 50;
  int32_t kube_api_burst = 100;

  LogLevel log_level = LogLevel::kInfo;

  std::vector<std::string> warnings;  // "pintled.yaml:7: healthzPort: accepted and not acted on yet"
  bool operator==(const AgentConfig&) const = default;
};

// The effective configuration without any file.
[[nodiscard]] AgentConfig default_config();
// `origin` stands at the front of errors and warnings.
[[nodiscard]] Result<AgentConfig> parse(std::string_view text, const std::string& origin);
// Reads the file and fills in the node's name from the host's, as a kubelet does. kNotFound, kInvalid.
[[nodiscard]] Result<AgentConfig> load(const std::string& path);
// The effective configuration as a PintleConfiguration that parses back to the same values (warnings aside).
[[nodiscard]] std::string describe(const AgentConfig& config);
// The host's name in lower case.
[[nodiscard]] Result<std::string> host_name();

}  // namespace pintle::config
