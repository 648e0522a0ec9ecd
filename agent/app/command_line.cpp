// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/command_line.h"

#include <cstdlib>
#include <optional>

#include <CLI/CLI.hpp>

#include <fmt/format.h>

namespace pintle::app {
namespace {

// Settings that a command line may give on top of the file.
struct Overrides {
  std::optional<std::string> mode, node_name, node_ip, kubeconfig, root_dir, run_dir, control_socket, listen, runtime, manifests,
      cgroup_root, cgroup_mount, bpffs, ebpf_policy, log_level, provider_config, provider_bin_dir;
};

// Each override is one line of YAML, so that the file's own checks hold for it too.
std::string overlay(const Overrides& given) {
  std::string top, own;
  const auto line = [](std::string& out, const char* indent, const char* key, const std::optional<std::string>& value) {
    if (!value) return;
    std::string quoted;
    for (const char c : *value) quoted += c == '\'' ? std::string("''") : std::string(1, c);
    out += fmt::format("{}{}: '{}'\n", indent, key, quoted);
  };
  line(top, "", "containerRuntimeEndpoint", given.runtime);
  line(top, "", "staticPodPath", given.manifests);
  line(top, "", "cgroupRoot", given.cgroup_root);
  line(own, "  ", "mode", given.mode);
  line(own, "  ", "nodeName", given.node_name);
  line(own, "  ", "nodeIP", given.node_ip);
  line(own, "  ", "kubeconfig", given.kubeconfig);
  line(own, "  ", "rootDir", given.root_dir);
  line(own, "  ", "runDir", given.run_dir);
  line(own, "  ", "controlSocket", given.control_socket);
  line(own, "  ", "listen", given.listen);
  line(own, "  ", "cgroupMount", given.cgroup_mount);
  line(own, "  ", "logLevel", given.log_level);
  line(own, "  ", "imageCredentialProviderConfig", given.provider_config);
  line(own, "  ", "imageCredentialProviderBinDir", given.provider_bin_dir);
  std::string ebpf;
  line(ebpf, "    ", "bpffs", given.bpffs);
  line(ebpf, "    ", "policy", given.ebpf_policy);
  if (!ebpf.empty()) own += "  ebpf:\n" + ebpf;
  return "apiVersion: pintle.dev/v1\nkind: PintleConfiguration\n" + top + (own.empty() ? "" : "pintle:\n" + own);
}

void merge(config::AgentConfig& config, const config::AgentConfig& flags, const Overrides& given) {
  if (given.runtime) config.container_runtime_endpoint = flags.container_runtime_endpoint;
  if (given.manifests) config.static_pod_path = flags.static_pod_path;
  if (given.cgroup_root) config.cgroup_root = flags.cgroup_root;
  if (given.mode) config.pintle.mode = flags.pintle.mode;
  if (given.node_name) config.pintle.node_name = flags.pintle.node_name;
  if (given.node_ip) config.pintle.node_ip = flags.pintle.node_ip;
  if (given.kubeconfig) config.pintle.kubeconfig = flags.pintle.kubeconfig;
  if (given.root_dir) config.pintle.root_dir = flags.pintle.root_dir;
  if (given.run_dir) {
    config.pintle.run_dir = flags.pintle.run_dir;
    if (!given.control_socket) config.pintle.control_socket = flags.pintle.control_socket;
  }
  if (given.control_socket) config.pintle.control_socket = flags.pintle.control_socket;
  if (given.listen) config.pintle.listen = flags.pintle.listen;
  if (given.cgroup_mount) config.pintle.cgroup_mount = flags.pintle.cgroup_mount;
  if (given.log_level) config.log_level = flags.log_level;
  if (given.provider_config) config.pintle.image_credential_provider_config = flags.pintle.image_credential_provider_config;
  if (given.provider_bin_dir) config.pintle.image_credential_provider_bin_dir = flags.pintle.image_credential_provider_bin_dir;
  if (given.bpffs) config.pintle.ebpf.bpffs = flags.pintle.ebpf.bpffs;
  if (given.ebpf_policy) config.pintle.ebpf.policy = flags.pintle.ebpf.policy;
}

}  // namespace

Result<CommandLine> parse_command_line(int argc, char** argv) {
  CLI::App cli("Pintle, a Kubernetes node agent with eBPF on every pod.\nRuns in standalone mode unless the configuration says otherwise.",
               "pintled");
  cli.footer(
      "Examples:\n  pintled --config /etc/pintle/pintled.yaml\n  pintled --manifests ./pods --root-dir /tmp/pintle\n  pintled --mode node "
      "--kubeconfig /etc/kubernetes/kubelet.conf");
  std::string config_path;
  Overrides given;
  bool version = false;
  cli.add_option("--config", config_path, "KubeletConfiguration or PintleConfiguration file");
  cli.add_option("--mode", given.mode, "standalone, node or companion");
  cli.add_option("--node-name", given.node_name, "name of the node (default: the host's)");
  cli.add_option("--node-ip", given.node_ip, "address of the node (default: that of the default route)");
  cli.add_option("--kubeconfig", given.kubeconfig, "kubeconfig of the API server, in node and companion mode");
  cli.add_option("--root-dir", given.root_dir, "state: volumes, stores, the embedded API's keys");
  cli.add_option("--run-dir", given.run_dir, "the control socket's folder");
  cli.add_option("--control-socket", given.control_socket, "path of the control socket");
  cli.add_option("--listen", given.listen, "loopback address of the embedded API");
  cli.add_option("--container-runtime-endpoint", given.runtime, "unix:// socket of the CRI runtime");
  cli.add_option("--manifests", given.manifests, "folder (or file) of static pods");
  cli.add_option("--cgroup-root", given.cgroup_root, "cgroup below which kubepods is made");
  cli.add_option("--cgroup-mount", given.cgroup_mount, "companion: where the node's cgroup2 tree is mounted (default: looked for)");
  cli.add_option("--bpffs", given.bpffs, "bpf file system for pins");
  cli.add_option("--ebpf", given.ebpf_policy, "required, best-effort or off");
  cli.add_option("--image-credential-provider-config", given.provider_config,
                 "CredentialProviderConfig file, or folder of such: programs that are asked for the credentials of images");
  cli.add_option("--image-credential-provider-bin-dir", given.provider_bin_dir, "folder of these programs");
  cli.add_option("--log-level", given.log_level, "debug, info, warning or error");
  cli.add_flag("--version", version, "print the version and stop");
  CommandLine result;
  cli.fallthrough();  // options may stand after the command too
  auto* cleanup = cli.add_subcommand("cleanup", "remove the pins and empty cgroups of a Pintle that no longer runs")->alias("uninstall");
  cleanup->add_flag("--stay", result.stay, "then wait for a signal: for a DaemonSet that takes Pintle off every node");
  auto* mount = cli.add_subcommand("mount-bpffs", "mount the bpf file system of --bpffs where there is none yet");
  auto* print = cli.add_subcommand("config", "print the effective configuration");
  try {
    cli.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    result.command = Command::kHelp;
    result.help = cli.help();
    return result;
  } catch (const CLI::ParseError& error) {
    return fail(Code::kInvalid, fmt::format("{} (pintled --help shows what there is)", error.what()));
  }
  if (version) {
    result.command = Command::kVersion;
    return result;
  }
  if (cleanup->parsed()) result.command = Command::kCleanup;
  if (mount->parsed()) result.command = Command::kMountBpffs;
  if (print->parsed()) result.command = Command::kPrintConfig;
  if (config_path.empty()) {
    result.config = config::default_config();
    if (result.config.pintle.node_name.empty()) {
      PINTLE_ASSIGN_OR_RETURN(result.config.pintle.node_name, config::host_name());
    }
  } else {
    PINTLE_ASSIGN_OR_RETURN(result.config, config::load(config_path));
  }
  PINTLE_ASSIGN_OR_RETURN(const auto flags, config::parse(overlay(given), "command line"));
  merge(result.config, flags, given);
  config::take_otlp_environment(
      result.config.pintle.otlp,
      [](const std::string& name) -> std::optional<std::string> {
        const char* const value = std::getenv(name.c_str());
        return value == nullptr ? std::nullopt : std::optional<std::string>(value);
      },
      result.config.warnings);
  // A default that depends on the mode: of a file that gives its own mode and failure policy, the file's stand.
  if (given.mode && config_path.empty()) {
    result.config.pintle.ebpf.network_policy_failure = flags.pintle.ebpf.network_policy_failure;
    result.config.pintle.ebpf.programs.network_policy_failure = flags.pintle.ebpf.programs.network_policy_failure;
  }
  if (result.config.pintle.mode == config::Mode::kNode && result.config.pintle.kubeconfig.empty())
    return fail(Code::kInvalid, "mode node needs a kubeconfig: set pintle.kubeconfig or --kubeconfig");
  const auto& pintle = result.config.pintle;
  if (pintle.image_credential_provider_config.empty() != pintle.image_credential_provider_bin_dir.empty())
    return fail(Code::kInvalid,
                "pintle.imageCredentialProviderConfig and pintle.imageCredentialProviderBinDir go together; set the other one too");
  if (pintle.mode == config::Mode::kCompanion && !pintle.image_credential_provider_config.empty())
    result.config.warnings.emplace_back(
        "pintle.imageCredentialProviderConfig, pintle.imageCredentialProviderBinDir: mode companion pulls no images and asks no programs; "
        "give the kubelet its flags --image-credential-provider-config and --image-credential-provider-bin-dir instead");
  return result;
}

}  // namespace pintle::app
