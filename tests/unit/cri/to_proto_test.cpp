// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The messages we send, against those that a kubelet 1.36 sent to containerd for pods of the same meaning (golden/).
#include "cri/to_proto.h"

#include <fstream>
#include <iterator>
#include <memory>

#include <google/protobuf/descriptor.pb.h>
#include <google/protobuf/dynamic_message.h>
#include <google/protobuf/struct.pb.h>
#include <google/protobuf/util/json_util.h>
#include <google/protobuf/util/message_differencer.h>
#include <catch2/catch_test_macros.hpp>

using namespace pintle;
namespace rt = runtime::v1;
namespace pb = google::protobuf;

namespace {

std::string base64(const std::string& text) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (size_t i = 0; i < text.size(); i += 3) {
    const auto byte = [&](size_t at) { return at < text.size() ? static_cast<unsigned char>(text[at]) : 0U; };
    const unsigned group = byte(i) << 16U | byte(i + 1) << 8U | byte(i + 2);
    for (size_t digit = 0; digit < 4; ++digit) out += i + digit > text.size() ? '=' : kDigits[group >> (18 - 6 * digit) & 63U];
  }
  return out;
}

// The golden files show env values as text; for protobuf's JSON a bytes field is base64.
std::string with_encoded_envs(const std::string& json) {
  pb::Struct tree;
  REQUIRE(pb::util::JsonStringToMessage(json, &tree).ok());
  if (tree.fields().contains("envs")) {
    for (auto& env : *(*tree.mutable_fields())["envs"].mutable_list_value()->mutable_values()) {
      auto& fields = *env.mutable_struct_value()->mutable_fields();
      fields["value"].set_string_value(base64(fields["value"].string_value()));
    }
  }
  std::string out;
  REQUIRE(pb::util::MessageToJsonString(tree, &out).ok());
  return out;
}

// Our messages are lite ones; their text and their differences are told by messages made from the interface's description.
class Describer {
 public:
  Describer() {
    std::ifstream file(PINTLE_CRI_DESCRIPTION, std::ios::binary);
    pb::FileDescriptorSet set;
    REQUIRE(set.ParseFromIstream(&file));
    for (const auto& one : set.file()) REQUIRE(pool_.BuildFile(one) != nullptr);
  }
  [[nodiscard]] std::unique_ptr<pb::Message> empty(const std::string& type) {
    const auto* descriptor = pool_.FindMessageTypeByName(type);
    REQUIRE(descriptor != nullptr);
    return std::unique_ptr<pb::Message>(factory_.GetPrototype(descriptor)->New());
  }
  [[nodiscard]] std::unique_ptr<pb::Message> full(const pb::MessageLite& lite) {
    auto message = empty(lite.GetTypeName());
    REQUIRE(message->ParseFromString(lite.SerializeAsString()));
    return message;
  }

 private:
  pb::DescriptorPool pool_;
  pb::DynamicMessageFactory factory_{&pool_};
};

template <typename Message>
Message golden(const std::string& name) {
  std::ifstream file(std::string{PINTLE_GOLDEN_DIR} + "/" + name + ".json");
  REQUIRE(file);
  const std::string json{std::istreambuf_iterator<char>(file), {}};
  Message message;
  Describer describer;
  const auto full = describer.empty(message.GetTypeName());
  const auto status = pb::util::JsonStringToMessage(with_encoded_envs(json), full.get());
  INFO(status.ToString());
  REQUIRE(status.ok());
  REQUIRE(message.ParseFromString(full->SerializeAsString()));
  return message;
}

std::string difference(const pb::MessageLite& golden, const pb::MessageLite& ours) {
  Describer describer;
  std::string report;
  pb::util::MessageDifferencer differencer;
  differencer.ReportDifferencesToString(&report);
  return differencer.Compare(*describer.full(golden), *describer.full(ours)) ? std::string{} : report;
}

constexpr auto kRichUid = "16adcd8a-f641-4802-aa97-78fa8333cb19";

model::StringMap pod_labels(const std::string& name, const std::string& uid) {
  return {{"io.kubernetes.pod.name", name}, {"io.kubernetes.pod.namespace", "default"}, {"io.kubernetes.pod.uid", uid}};
}

model::SandboxConfig rich_sandbox() {
  model::SandboxConfig config;
  config.name = "rich";
  config.namespace_ = "default";
  config.uid = kRichUid;
  config.hostname = "rich-host";
  config.log_directory = std::string{"/var/log/pods/default_rich_"} + kRichUid;
  config.cgroup_parent = std::string{"/kubepods/burstable/pod"} + kRichUid;
  config.dns =
      model::ResolvedDns{{"10.96.0.10"}, {"default.svc.cluster.local", "svc.cluster.local", "cluster.local", "rig.test"}, {"ndots:5"}};
  config.port_mappings = {{model::Protocol::kTcp, 8080, 18080, ""}};
  config.labels = pod_labels("rich", kRichUid);
  config.labels["app"] = "rich";
  config.annotations = {
      {"kubernetes.io/config.seen", "2026-11-23T00:45:29.471776531Z"}, {"kubernetes.io/config.source", "api"}, {"note", "hi"}};
  config.sysctls = {{"net.ipv4.ip_unprivileged_port_start", "80"}, {"net.ipv4.ping_group_range", "0 2147483647"}};
  config.security.run_as_user = 1000;
  config.security.run_as_group = 3000;
  config.security.supplemental_groups = {2000, 4000};
  config.security.seccomp = model::SeccompProfile{"RuntimeDefault", ""};
  config.resources = {.cpu_period = 100000, .cpu_quota = 50000, .cpu_shares = 112, .memory_limit_bytes = 134217728};
  return config;
}

model::LinuxSecurity rich_security() {
  model::LinuxSecurity security;
  security.run_as_user = 1000;
  security.run_as_group = 3000;
  security.supplemental_groups = {2000, 4000};
  security.masked_paths = {"/proc/asound",      "/proc/acpi",          "/proc/interrupts", "/proc/kcore",
                           "/proc/keys",        "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                           "/proc/sched_debug", "/proc/scsi",          "/sys/firmware",    "/sys/devices/virtual/powercap"};
  security.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  security.seccomp = model::SeccompProfile{"RuntimeDefault", ""};
  return security;
}

model::ContainerConfig rich_main() {
  model::ContainerConfig config;
  config.name = "main";
  config.image_ref = "sha256:e67bccafbc9daf04c921a2ff8386d925299ee8117db73a914a793164dd7726af";
  config.user_specified_image = "registry.k8s.io/e2e-test-images/agnhost:2.63.0";
  config.args = {"netexec", "--http-port=8080"};
  config.envs = {{"S_p", "secret"},
                 {"POD_IP", "10.244.0.68"},
                 {"CPU_LIM", "500"},
                 {"FROM_CM", "1"},
                 {"REF", "x-1-$(NOT)-$(MISSING)"},
                 {"KUBERNETES_SERVICE_PORT_HTTPS", "443"},
                 {"KUBERNETES_PORT", "tcp://10.96.0.1:443"},
                 {"KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"},
                 {"KUBERNETES_PORT_443_TCP_PROTO", "tcp"},
                 {"KUBERNETES_PORT_443_TCP_PORT", "443"},
                 {"KUBERNETES_PORT_443_TCP_ADDR", "10.96.0.1"},
                 {"KUBERNETES_SERVICE_HOST", "10.96.0.1"},
                 {"KUBERNETES_SERVICE_PORT", "443"}};
  const std::string pod = std::string{"/var/lib/kubelet/pods/"} + kRichUid;
  const std::string volumes = pod + "/volumes/kubernetes.io~";
  const auto to_container = model::VolumeMount::Propagation::kHostToContainer;
  const auto none = model::VolumeMount::Propagation::kNone;
  config.mounts = {{"/scratch", volumes + "empty-dir/scratch", false, none},
                   {"/mem", volumes + "empty-dir/mem", false, none},
                   {"/cm", volumes + "configmap/cm", true, none},
                   {"/cmfile/b", pod + "/volume-subpaths/cm/main/3", true, none},
                   {"/sec", volumes + "secret/sec", true, none},
                   {"/dw", volumes + "downward-api/dw", true, none},
                   {"/host", "/var/lib/rig/golden", true, to_container},
                   {"/var/run/secrets/kubernetes.io/serviceaccount", volumes + "projected/kube-api-access-l2cwl", true, none},
                   {"/etc/hosts", pod + "/etc-hosts", false, none},
                   {"/dev/termination-log", pod + "/containers/main/732743d6", false, none}};
  config.labels = pod_labels("rich", kRichUid);
  config.labels["io.kubernetes.container.name"] = "main";
  config.annotations = {{"io.kubernetes.container.hash", "728940db"},
                        {"io.kubernetes.container.ports", R"([{"name":"http","hostPort":18080,"containerPort":8080,"protocol":"TCP"}])"},
                        {"io.kubernetes.container.preStopHandler", R"({"sleep":{"seconds":1}})"},
                        {"io.kubernetes.container.restartCount", "0"},
                        {"io.kubernetes.container.terminationMessagePath", "/dev/termination-log"},
                        {"io.kubernetes.container.terminationMessagePolicy", "File"},
                        {"io.kubernetes.pod.terminationGracePeriod", "5"}};
  config.log_path = "main/0.log";
  config.resources = {.cpu_period = 100000,
                      .cpu_quota = 50000,
                      .cpu_shares = 102,
                      .memory_limit_bytes = 134217728,
                      .memory_swap_limit_bytes = 134217728,
                      .oom_score_adj = 998};
  config.security = rich_security();
  config.security.add_capabilities = {"NET_BIND_SERVICE"};
  config.security.drop_capabilities = {"ALL"};
  config.security.read_only_root_filesystem = true;
  config.security.no_new_privs = true;
  return config;
}

rt::ContainerConfig golden_container(const std::string& name) {
  auto config = golden<rt::ContainerConfig>(name);
  // The kubelet limits hugepages it was not asked for to zero; the model has no hugepages.
  config.mutable_linux()->mutable_resources()->clear_hugepage_limits();
  return config;
}

}  // namespace

TEST_CASE("a sandbox goes out as the kubelet sends it") {
  rt::PodSandboxConfig ours;
  cri::to_proto(rich_sandbox(), &ours);
  CHECK(difference(golden<rt::PodSandboxConfig>("rich.sandbox"), ours) == "");
}

TEST_CASE("a container goes out as the kubelet sends it") {
  rt::ContainerConfig ours;
  cri::to_proto(rich_main(), &ours);
  CHECK(difference(golden_container("rich.main"), ours) == "");
}

TEST_CASE("a difference to the golden message is seen") {
  auto config = rich_main();
  config.mounts[6].propagation = model::VolumeMount::Propagation::kNone;
  rt::ContainerConfig ours;
  cri::to_proto(config, &ours);
  CHECK(difference(golden_container("rich.main"), ours).find("mounts[6].propagation") != std::string::npos);
}

TEST_CASE("a sidecar without limits goes out as the kubelet sends it") {
  auto config = rich_main();
  config.name = "side";
  config.image_ref = "sha256:36553176100bbba13656b7b2609b46def2d986e82e732f58d5f252c6a5e9501a";
  config.user_specified_image = "registry.k8s.io/e2e-test-images/busybox:1.37.0-1";
  config.args.clear();
  config.command = {"sh", "-c", "trap 'exit 0' TERM; while true; do sleep 1; done"};
  config.envs = {{"KUBERNETES_SERVICE_PORT", "443"},
                 {"KUBERNETES_SERVICE_PORT_HTTPS", "443"},
                 {"KUBERNETES_PORT", "tcp://10.96.0.1:443"},
                 {"KUBERNETES_PORT_443_TCP", "tcp://10.96.0.1:443"},
                 {"KUBERNETES_PORT_443_TCP_PROTO", "tcp"},
                 {"KUBERNETES_PORT_443_TCP_PORT", "443"},
                 {"KUBERNETES_PORT_443_TCP_ADDR", "10.96.0.1"},
                 {"KUBERNETES_SERVICE_HOST", "10.96.0.1"}};
  config.mounts.erase(config.mounts.begin(), config.mounts.begin() + 7);
  config.mounts.back().host_path = std::string{"/var/lib/kubelet/pods/"} + kRichUid + "/containers/side/87465ebd";
  config.labels["io.kubernetes.container.name"] = "side";
  config.annotations.erase("io.kubernetes.container.ports");
  config.annotations.erase("io.kubernetes.container.preStopHandler");
  config.annotations["io.kubernetes.container.hash"] = "5f5f5957";
  config.log_path = "side/0.log";
  config.resources = {.cpu_period = 100000, .cpu_shares = 10, .oom_score_adj = 998};
  config.security = rich_security();
  rt::ContainerConfig ours;
  cri::to_proto(config, &ours);
  CHECK(difference(golden_container("rich.side"), ours) == "");
}

TEST_CASE("host namespaces and privilege go out as the kubelet sends them") {
  constexpr auto kUid = "fdf8f650-fbb1-4663-a14c-bfdd854c3019";
  model::SandboxConfig config;
  config.name = "hostnet";
  config.namespace_ = "default";
  config.uid = kUid;
  config.log_directory = std::string{"/var/log/pods/default_hostnet_"} + kUid;
  config.cgroup_parent = std::string{"/kubepods/besteffort/pod"} + kUid;
  config.dns = model::ResolvedDns{{"10.77.0.1"}, {"rig.test"}, {"ndots:5"}};
  config.labels = pod_labels("hostnet", kUid);
  config.annotations = {{"kubernetes.io/config.seen", "2026-11-23T00:45:29.502685171Z"}, {"kubernetes.io/config.source", "api"}};
  config.security.namespaces.network = model::NamespaceMode::kNode;
  config.security.namespaces.pid = model::NamespaceMode::kNode;
  config.security.privileged = true;
  config.security.seccomp = model::SeccompProfile{"RuntimeDefault", ""};
  config.resources = {.cpu_period = 100000, .cpu_shares = 2};
  rt::PodSandboxConfig ours;
  cri::to_proto(config, &ours);
  CHECK(difference(golden<rt::PodSandboxConfig>("hostnet.sandbox"), ours) == "");
}

TEST_CASE("security profiles and what is only sometimes there") {
  model::ContainerConfig config;
  rt::ContainerConfig plain;
  cri::to_proto(config, &plain);
  CHECK_FALSE(plain.linux().security_context().has_seccomp());
  CHECK_FALSE(plain.linux().security_context().has_apparmor());
  CHECK_FALSE(plain.linux().security_context().has_run_as_user());
  CHECK_FALSE(plain.linux().security_context().has_capabilities());

  config.security.run_as_user = 0;  // root is a user, not an absent field
  config.security.seccomp = model::SeccompProfile{"Localhost", "/var/lib/kubelet/seccomp/a.json"};
  config.security.app_armor = model::AppArmorProfile{"Localhost", "tight"};
  config.security.se_linux = model::SeLinuxOptions{"u", "r", "t", "s0"};
  config.security.namespaces.pid = model::NamespaceMode::kTarget;
  config.security.namespaces.target_id = "abc";
  config.envs = {{"BYTES", "\xff\xfe"}};
  config.resources.unified = {{"memory.high", "1000"}};
  rt::ContainerConfig full;
  cri::to_proto(config, &full);
  const auto& security = full.linux().security_context();
  CHECK(security.has_run_as_user());
  CHECK(security.seccomp().profile_type() == rt::SecurityProfile::Localhost);
  CHECK(security.seccomp().localhost_ref() == "/var/lib/kubelet/seccomp/a.json");
  CHECK(security.apparmor().localhost_ref() == "tight");
  CHECK(security.apparmor_profile() == "localhost/tight");
  CHECK(security.selinux_options().level() == "s0");
  CHECK(security.namespace_options().pid() == rt::TARGET);
  CHECK(security.namespace_options().target_id() == "abc");
  CHECK(full.linux().resources().unified().at("memory.high") == "1000");
  rt::ContainerConfig parsed;
  REQUIRE(parsed.ParseFromString(full.SerializeAsString()));
  CHECK(parsed.envs(0).value() == "\xff\xfe");

  config.security.app_armor = model::AppArmorProfile{"Unconfined", ""};
  config.security.seccomp = model::SeccompProfile{"Unconfined", ""};
  rt::ContainerConfig open;
  cri::to_proto(config, &open);
  CHECK(open.linux().security_context().apparmor_profile() == "unconfined");
  CHECK(open.linux().security_context().seccomp().profile_type() == rt::SecurityProfile::Unconfined);
}
