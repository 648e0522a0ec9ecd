// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "config/config.h"

#include <algorithm>

#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"

namespace pintle::config {
namespace {

using namespace std::chrono_literals;

const std::string kHead = "apiVersion: pintle.dev/v1\nkind: PintleConfiguration\n";

std::string error_of(const std::string& text) {
  const auto config = parse(kHead + text, "p.yaml");
  if (config) return "";
  CHECK(config.error().code == Code::kInvalid);
  return config.error().context;
}

}  // namespace

TEST_CASE("the shipped configuration is the default") {
  const auto text = read_file(std::string(DEPLOY_DIR) + "/pintled.yaml");
  REQUIRE(text.has_value());
  const auto config = parse(*text, "pintled.yaml");
  REQUIRE((config ? std::string() : config.error().context).empty());
  CHECK(*config == default_config());
  CHECK(parse(kHead, "x").value() == default_config());
}

TEST_CASE("defaults") {
  const auto config = default_config();
  CHECK(config.pintle.mode == Mode::kStandalone);
  CHECK(config.pintle.control_socket == "/run/pintle/pintle.sock");
  CHECK(config.pintle.ebpf.policy == model::EbpfPolicy::kBestEffort);
  CHECK(config.static_pod_path == "/etc/pintle/manifests");
  CHECK(config.image_service_endpoint == "unix:///run/containerd/containerd.sock");
  CHECK(config.eviction_hard.at("memory.available").quantity->value() == 100 << 20);
  CHECK(config.eviction_hard.at("nodefs.available").percent == 10);
}

TEST_CASE("rows 1.8, 17.6: where links to logs go") {
  CHECK(default_config().pintle.container_logs_dir == "/var/log/containers");
  CHECK(parse(kHead + "pintle: {containerLogsDir: ''}\n", "p.yaml")->pintle.container_logs_dir.empty());
  CHECK(parse(kHead + "pintle: {containerLogsDir: /x/y}\n", "p.yaml")->pintle.container_logs_dir == "/x/y");
  CHECK(error_of("pintle: {containerLogsDir: logs}\n") ==
        "p.yaml:3: pintle.containerLogsDir: 'logs' is not an absolute path; \"\" makes no links");
}

TEST_CASE("metrics and events: addresses and files are checked, and can be switched off") {
  const auto parsed = parse(kHead + "pintle:\n  metrics:\n    listen: \"\"\n  events:\n    json: /var/log/pintle/events.json\n", "p.yaml");
  REQUIRE(parsed);
  CHECK(parsed->pintle.metrics_listen.empty());
  CHECK(parsed->pintle.events_json == "/var/log/pintle/events.json");
  CHECK(parse(kHead + "pintle: {events: {json: stdout}}\n", "p.yaml")->pintle.events_json == "stdout");
  CHECK(error_of("pintle: {metrics: {listen: '9810'}}\n").find("127.0.0.1:9810") != std::string::npos);
  CHECK(error_of("pintle: {events: {json: events.json}}\n").find("neither an absolute path nor stdout") != std::string::npos);
  CHECK(error_of("pintle: {metrics: {port: 1}}\n").find("port") != std::string::npos);
}

TEST_CASE("row 19.5: where credential plugins are, as the documentation shows it") {
  const auto text = read_file(std::string(DEPLOY_DIR) + "/../docs/images.md");
  REQUIRE(text);
  const size_t begin = text->find("```yaml\n") + 8;
  const auto config = parse(text->substr(begin, text->find("```", begin) - begin), "images.md");
  REQUIRE((config ? std::string() : config.error().context).empty());
  CHECK(config->pintle.image_credential_provider_config == "/etc/pintle/credential-providers.yaml");
  CHECK(config->pintle.image_credential_provider_bin_dir == "/usr/libexec/pintle/credential-providers");
  CHECK(parse(describe(*config), "described").value() == *config);
  CHECK(error_of("pintle: {imageCredentialProviderConfig: x.yaml}\n").find("'x.yaml' is not an absolute path") != std::string::npos);
  CHECK(error_of("pintle: {imageCredentialProviderBinDir: bin}\n").find("'bin' is not an absolute path") != std::string::npos);
}

TEST_CASE("a real kubelet's configuration is read, and what is not acted on is said") {
  const auto text = read_file(std::string(CONFIG_TEST_DIR) + "/kubelet.json");
  REQUIRE(text.has_value());
  const auto config = parse(*text, "kubelet.json");
  REQUIRE((config ? std::string() : config.error().context).empty());
  CHECK(config->container_runtime_endpoint == "unix:///etc/kubernetes/containerd/containerd.sock");
  CHECK(config->cluster_dns == std::vector<std::string>{"10.96.0.10"});
  CHECK(config->runtime_request_timeout == 2min);
  CHECK(config->node_lease_duration == 40s);
  CHECK(config->eviction_hard.size() == 3);
  CHECK(config->eviction_hard.at("memory.available").quantity->text() == "250Mi");
  CHECK(std::ranges::find(config->warnings, "kubelet.json:11: port: accepted and not acted on yet") != config->warnings.end());
  CHECK(config->warnings.size() > 40);
  for (const auto& warning : config->warnings) CHECK(warning.find("maxPods") == std::string::npos);
}

TEST_CASE("every field of Pintle's own") {
  const auto config = parse(kHead + R"(pintle:
  mode: node
  nodeName: n-1.example
  nodeIP: fd00::1
  kubeconfig: /etc/kubernetes/kubelet.conf
  rootDir: /data/pintle
  runDir: /run/p
  listen: "[::1]:0"
  logLevel: debug
  nodeLabels: {rack: a}
  ebpf: {policy: required, bpffs: /run/bpf, programSet: next-1, setsFolder: /srv/sets, programsFolder: /srv/programs, programsNamespace: ops}
crashLoopBackOff: {maxContainerRestartPeriod: 30s}
serializeImagePulls: false
maxParallelImagePulls: 4
containerRuntimeEndpoint: /run/x.sock
systemReserved: {cpu: 100m, memory: "1Gi"}
registerWithTaints: [{key: a, effect: NoSchedule}]
cgroupDriver: systemd
podPidsLimit: 1000
)",
                            "p.yaml");
  REQUIRE((config ? std::string() : config.error().context).empty());
  CHECK(config->pintle.mode == Mode::kNode);
  CHECK(config->pintle.node_name == "n-1.example");
  CHECK(config->pintle.control_socket == "/run/p/pintle.sock");
  CHECK(config->pintle.ebpf.policy == model::EbpfPolicy::kRequired);
  CHECK(config->pintle.ebpf.program_set == "next-1");
  CHECK(config->pintle.ebpf.sets_folder == "/srv/sets");
  CHECK(config->pintle.ebpf.programs_folder == "/srv/programs");
  CHECK(config->pintle.ebpf.programs_namespace == "ops");
  CHECK(config->pintle.node_labels.at("rack") == "a");
  CHECK(config->log_level == LogLevel::kDebug);
  CHECK(config->max_container_restart_period == 30s);
  CHECK(config->max_parallel_image_pulls == 4);
  CHECK(config->container_runtime_endpoint == "unix:///run/x.sock");
  CHECK(config->system_reserved.at("cpu").milli() == 100);
  CHECK(config->register_with_taints.at(0).effect == "NoSchedule");
  CHECK(config->cgroup_driver == CgroupDriver::kSystemd);
  CHECK(config->static_pod_path.empty());
  CHECK(config->warnings.empty());

  // What is described reads back the same.
  const auto again = parse(describe(*config), "described");
  REQUIRE((again ? std::string() : again.error().context).empty());
  CHECK(*again == *config);
  CHECK(parse(describe(default_config()), "described").value() == default_config());
}

TEST_CASE("mistakes name file, line, field and fix") {
  struct Row {
    std::string text, error;
  };
  const Row rows[] = {
      {"maxpods: 3\n", "p.yaml:3: maxpods: unknown field (did you mean 'maxPods'?)"},
      {"pintle:\n  ebpf:\n    polcy: off\n", "p.yaml:5: pintle.ebpf.polcy: unknown field (did you mean 'policy'?)"},
      {"pintle:\n  ebpf:\n    policy: on\n",
       "p.yaml:5: pintle.ebpf.policy: expected a string (required, best-effort, off), found the boolean on (quote it: \"on\")"},
      {"pintle:\n  ebpf:\n    policy: off\n", ""},
      {"pintle:\n  ebpf:\n    programsFolder: programs\n",
       "p.yaml:5: pintle.ebpf.programsFolder: 'programs' is not an absolute path; \"\" reads no folder"},
      {"pintle:\n  ebpf:\n    programsFolder: \"\"\n", ""},
      {"pintle:\n  ebpf:\n    programsNamespace: Ops\n",
       "p.yaml:5: pintle.ebpf.programsNamespace: 'Ops' is not the name of a namespace; \"\" reads no ConfigMaps"},
      {"pintle:\n  ebpf:\n    networkPolicy: on\n",
       "p.yaml:5: pintle.ebpf.networkPolicy: expected a string, found the boolean on (quote it: \"on\")"},
      {"pintle:\n  ebpf:\n    networkPolicy: strict\n", "p.yaml:5: pintle.ebpf.networkPolicy: 'strict' is not one of enforce, audit, off"},
      {"pintle:\n  ebpf:\n    trace: [connect, dns]\n",
       "p.yaml:5: pintle.ebpf.trace[1]: 'dns' is not one of connect, sendmsg, bind, accept, tcp"},
      {"pintle:\n  ebpf:\n    sysctlWrites: never\n", "p.yaml:5: pintle.ebpf.sysctlWrites: 'never' is not one of allow, audit, deny"},
      {"pintle:\n  ebpf:\n    setsFolder: sets\n", "p.yaml:5: pintle.ebpf.setsFolder: 'sets' is not an absolute path"},
      {"pintle:\n  ebpf:\n    programSet: a/b\n",
       "p.yaml:5: pintle.ebpf.programSet: program set 'a/b': a name is letters, digits, '-', '_' and '.', begins and ends with a letter or "
       "digit, and has at most 63 of them"},
      {"pintle: {cgroupMount: cgroup}\n", "p.yaml:3: pintle.cgroupMount: 'cgroup' is not an absolute path"},
      {"pintle: {companion: {nri: {mode: on}}}\n",
       "p.yaml:3: pintle.companion.nri.mode: expected a string (auto, required, off), found the boolean on (quote it: \"on\")"},
      {"pintle: {companion: {nri: {mode: off, failClosed: false, timeout: 1s}}}\n", ""},
      {"pintle: {companion: {nri: {timeout: 2s}}}\n", "p.yaml:3: pintle.companion.nri.timeout: 2s is not within 1ms and 1.9s"},
      {"pintle: {companion: {nri: {socket: nri.sock}}}\n", "p.yaml:3: pintle.companion.nri.socket: 'nri.sock' is not an absolute path"},
      {"pintle: {companion: {nry: {}}}\n", "p.yaml:3: pintle.companion.nry: unknown field (did you mean 'nri'?)"},
      {"pintle: {mode: nod}\n", "p.yaml:3: pintle.mode: 'nod' is not one of standalone, node, companion (did you mean 'node'?)"},
      {"pintle: {mode: node}\n", "p.yaml:1: pintle.kubeconfig: is required in mode 'node'; name the file that reaches the API"},
      {"maxPods: \"110\"\n", "p.yaml:3: maxPods: expected a whole number, found the string \"110\" (remove the quotes)"},
      {"maxPods: 0\n", "p.yaml:3: maxPods: 0 is too small; at least 1"},
      {"runtimeRequestTimeout: 120\n",
       "p.yaml:3: runtimeRequestTimeout: expected a string with a duration (10s, 1m30s), found the number 120 (quote it: \"120\")"},
      {"runtimeRequestTimeout: soon\n", "p.yaml:3: runtimeRequestTimeout: 'soon' is not a duration (examples: 300ms, 10s, 1m30s, 2h)"},
      {"crashLoopBackOff: {maxContainerRestartPeriod: 10m}\n",
       "p.yaml:3: crashLoopBackOff.maxContainerRestartPeriod: 10m0s is not within 1s and 5m0s"},
      {"containerRuntimeEndpoint: tcp://x\n", "p.yaml:3: containerRuntimeEndpoint: 'tcp://x' is not a socket; write unix:///path/to.sock"},
      {"staticPodPath: manifests\n", "p.yaml:3: staticPodPath: 'manifests' is not an absolute path"},
      {"clusterDNS: [10.0.0.300]\n", "p.yaml:3: clusterDNS[0]: '10.0.0.300' is not an IP address"},
      {"evictionHard: {memory.free: 1Mi}\n", "p.yaml:3: evictionHard[memory.free]: unknown field"},
      {"evictionHard: {memory.available: 101%}\n", "p.yaml:3: evictionHard[memory.available]: '101%' is not a share; use 0% to 100%"},
      {"enforceNodeAllocatable: [pod]\n",
       "p.yaml:3: enforceNodeAllocatable[0]: 'pod' is not one of none, pods, system-reserved, kube-reserved, system-reserved-compressible, "
       "kube-reserved-compressible (did you mean 'pods'?)"},
      {"maxParallelImagePulls: 2\n", "p.yaml:3: maxParallelImagePulls: needs serializeImagePulls: false"},
      {"pintle: {nodeName: Node_1}\n", "p.yaml:3: pintle.nodeName: 'Node_1' is not a node's name; use a-z, 0-9, '-' and '.'"},
      {"maxPods: 1\nmaxPods: 2\n", "p.yaml:4: the key 'maxPods' is given twice"},
      {"maxPods: 0\npodLogsDir: z\n", "p.yaml:4: podLogsDir: 'z' is not an absolute path\np.yaml:3: maxPods: 0 is too small; at least 1"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    CHECK(error_of(row.text) == row.error);
  }
}

TEST_CASE("other documents are refused") {
  CHECK(parse("apiVersion: v1\nkind: Pod\n", "p").error().context ==
        "p:1: 'Pod' of 'v1' is no configuration; use kind: PintleConfiguration with apiVersion: pintle.dev/v1");
  CHECK(parse("", "p").error().context == "p:1: expected one document, found 0");
  CHECK(parse("kind: [", "p").error().context.starts_with("p:1: invalid YAML"));
  CHECK(load("/nonexistent/pintled.yaml").error().code == Code::kNotFound);
}

TEST_CASE("what programs do is read, defaulted by mode and written back") {
  const auto read = [](const std::string& pintle) {
    auto config = parse("apiVersion: pintle.dev/v1\nkind: PintleConfiguration\npintle:\n" + pintle, "p.yaml");
    if (!config) FAIL(config.error().message());
    return *std::move(config);
  };
  const auto given = read(
      "  ebpf: {trace: [tcp, connect, tcp], networkPolicy: off, networkPolicyFailure: open, denyDevices: ['c 10:229 rw'], sysctlWrites: "
      "deny, "
      "denySockopts: ['SOL_SOCKET:SO_MARK', '6:13']}\n");
  const auto& programs = given.pintle.ebpf.programs;
  CHECK(programs.traces == std::vector{model::Trace::kConnect, model::Trace::kTcp});
  CHECK(programs.network_policy == model::Enforcement::kOff);
  CHECK(programs.network_policy_failure == model::PolicyFailure::kOpen);
  CHECK(programs.denied_devices.size() == 1);
  CHECK(programs.sysctl_writes == model::Enforcement::kEnforce);
  CHECK(programs.denied_sockopts == std::vector<model::SockoptRule>{{1, 36}, {6, 13}});
  const auto again = parse(describe(given), "again");
  REQUIRE(again);
  CHECK(again->pintle.ebpf == given.pintle.ebpf);

  CHECK(read("  mode: standalone\n").pintle.ebpf.programs.network_policy_failure == model::PolicyFailure::kClosed);
  CHECK(read("  mode: node\n  kubeconfig: /k\n").pintle.ebpf.programs.network_policy_failure == model::PolicyFailure::kOpen);
  CHECK(read("  mode: node\n  kubeconfig: /k\n  ebpf: {networkPolicyFailure: closed}\n").pintle.ebpf.programs.network_policy_failure ==
        model::PolicyFailure::kClosed);
}

}  // namespace pintle::config
