// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The expected values are those a kubelet 1.36 sent to containerd for the same pods.
#include <catch2/catch_test_macros.hpp>

#include "lifecycle/container_config.h"
#include "lifecycle/cri_resources.h"
#include "lifecycle/security.h"
#include "lifecycle/status.h"
#include "unit/lifecycle/rig.h"

using namespace pintle;
using namespace pintle::lifecycle;
using namespace pintle::lifecycle::test;
using model::NamespaceMode;

namespace {

Quantity q(const char* text) { return *Quantity::parse(text); }
constexpr const char* kBusybox = "registry.k8s.io/e2e-test-images/busybox:1.37.0-1";

NodeFacts golden_node() {
  auto facts = node();
  facts.cluster_dns = {"10.96.0.10"};
  facts.host_dns = {{"10.77.0.1"}, {"rig.test"}, {"ndots:5"}};
  facts.memory_capacity_bytes = int64_t{33} << 30;
  return facts;
}

model::Pod rich() {
  auto main = container("main");
  main.image = "registry.k8s.io/e2e-test-images/agnhost:2.63.0";
  main.args = {"netexec", "--http-port=8080"};
  main.ports = {{"http", "", 8080, 18080, model::Protocol::kTcp}};
  model::EnvVar ip{"POD_IP", "", model::FieldRef{"status.podIP"}};
  model::EnvVar limit{"CPU_LIM", "", model::ResourceFieldRef{"", "limits.cpu", q("1m")}};
  model::EnvVar from_map{"FROM_CM", "", model::ConfigMapKeyRef{{"cm1", "a", false}}};
  model::EnvVar ref{"REF", "x-$(FROM_CM)-$$(NOT)-$(MISSING)", {}};
  main.env = {ip, limit, from_map, ref};
  main.env_from = {{model::EnvFrom::Kind::kSecret, "S_", "s1", false}};
  main.lifecycle.pre_stop = model::SleepAction{1};
  main.security_context = model::SecurityContext{};
  main.security_context->allow_privilege_escalation = false;
  main.security_context->capabilities = model::Capabilities{{"NET_BIND_SERVICE"}, {"ALL"}};
  main.security_context->read_only_root_filesystem = true;
  main.security_context->run_as_non_root = true;
  main.resources.requests = {{"cpu", q("100m")}, {"memory", q("64Mi")}};
  main.resources.limits = {{"cpu", q("500m")}, {"memory", q("128Mi")}};
  auto init = container("init1");
  init.image = kBusybox;
  auto side = container("side");
  side.image = kBusybox;
  side.restart_policy = model::RestartPolicy::kAlways;
  side.resources.requests = {{"cpu", q("10m")}, {"memory", q("16Mi")}};
  auto wanted = pod({main});
  wanted.spec.init_containers = {init, side};
  wanted.metadata.name = "rich";
  wanted.metadata.uid = "16adcd8a";
  wanted.metadata.labels = {{"app", "rich"}};
  wanted.metadata.annotations = {{"note", "hi"}};
  wanted.spec.hostname = "rich-host";
  wanted.spec.subdomain = "sub";
  wanted.spec.termination_grace_period_seconds = 5;
  wanted.spec.host_aliases = {{"10.1.2.3", {"foo.local", "bar.local"}}};
  auto& security = wanted.spec.security_context;
  security.run_as_user = 1000;
  security.run_as_group = 3000;
  security.fs_group = 2000;
  security.supplemental_groups = {4000};
  security.seccomp_profile = model::SeccompProfile{"RuntimeDefault", ""};
  security.sysctls = {{"net.ipv4.ip_unprivileged_port_start", "80"}};
  return wanted;
}

EnvSources sources_of(const model::StringMap& map, const model::StringMap& secret) {
  EnvSources sources;
  sources.fields.pod_ips = {"10.244.0.68"};
  sources.config_map = [&map](const std::string& name) { return name == "cm1" ? &map : nullptr; };
  sources.secret = [&secret](const std::string& name) { return name == "s1" ? &secret : nullptr; };
  return sources;
}
const model::StringMap kMap = {{"a", "1"}, {"b.txt", "two"}}, kSecret = {{"p", "secret"}};

}  // namespace

TEST_CASE("row 9.8: the hash is the kubelet's") {
  struct Row {
    const char *name, *image, *hash;
  };
  for (const Row& row : {Row{"main", "registry.k8s.io/e2e-test-images/agnhost:2.63.0", "728940db"}, Row{"c", kBusybox, "a6dd0ded"},
                         Row{"init1", kBusybox, "1ec626fa"}, Row{"side", kBusybox, "5f5f5957"}}) {
    auto c = container(row.name);
    c.image = row.image;
    CHECK(container_hash(c) == row.hash);
    c.args = {"changed"};
    c.resources.limits = {{"cpu", q("1")}};
    CHECK(container_hash(c) == row.hash);  // row 34.4
  }
}

TEST_CASE("golden: the sandbox of the rich pod") {
  const auto config = make_sandbox_config(rich(), golden_node(), "/kubepods/burstable/pod16adcd8a", 0);
  REQUIRE(config);
  CHECK(config->hostname == "rich-host");
  CHECK(config->log_directory == "/var/log/pods/default_rich_16adcd8a");
  CHECK(config->cgroup_parent == "/kubepods/burstable/pod16adcd8a");
  CHECK(config->dns ==
        model::ResolvedDns{{"10.96.0.10"}, {"default.svc.cluster.local", "svc.cluster.local", "cluster.local", "rig.test"}, {"ndots:5"}});
  CHECK(config->port_mappings == std::vector<model::PortMapping>{{model::Protocol::kTcp, 8080, 18080, ""}});
  CHECK(config->labels == model::StringMap{{"app", "rich"},
                                           {"io.kubernetes.pod.name", "rich"},
                                           {"io.kubernetes.pod.namespace", "default"},
                                           {"io.kubernetes.pod.uid", "16adcd8a"}});
  CHECK(config->annotations == model::StringMap{{"note", "hi"}});
  CHECK(config->sysctls == model::StringMap{{"net.ipv4.ip_unprivileged_port_start", "80"}});
  CHECK(config->security.run_as_user == 1000);
  CHECK(config->security.run_as_group == 3000);
  CHECK(config->security.supplemental_groups == std::vector<int64_t>{2000, 4000});
  CHECK(config->security.seccomp->type == "RuntimeDefault");
  CHECK(config->security.namespaces == model::NamespaceOptions{NamespaceMode::kPod, NamespaceMode::kContainer, NamespaceMode::kPod, ""});
  CHECK_FALSE(config->security.privileged);
  model::LinuxResources expected;
  expected.cpu_period = 100000;
  expected.cpu_quota = 50000;
  expected.cpu_shares = 112;
  expected.memory_limit_bytes = 134217728;
  CHECK(config->resources == expected);
}

TEST_CASE("golden: the main container of the rich pod") {
  const auto wanted = rich();
  auto env = resolve_env(wanted, wanted.spec.containers[0], sources_of(kMap, kSecret));
  REQUIRE(env);
  CHECK(*env ==
        EnvList{{"S_p", "secret"}, {"POD_IP", "10.244.0.68"}, {"CPU_LIM", "500"}, {"FROM_CM", "1"}, {"REF", "x-1-$(NOT)-$(MISSING)"}});
  model::ImageInfo image;
  image.id = "sha256:e67b";
  const auto config = make_container_config(wanted, wanted.spec.containers[0], golden_node(), {image, 0, *env, {}, ""});
  REQUIRE(config);
  CHECK(config->image_ref == "sha256:e67b");
  CHECK(config->user_specified_image == "registry.k8s.io/e2e-test-images/agnhost:2.63.0");
  CHECK(config->args == std::vector<std::string>{"netexec", "--http-port=8080"});
  CHECK(config->log_path == "main/0.log");
  CHECK(config->labels == model::StringMap{{"io.kubernetes.container.name", "main"},
                                           {"io.kubernetes.pod.name", "rich"},
                                           {"io.kubernetes.pod.namespace", "default"},
                                           {"io.kubernetes.pod.uid", "16adcd8a"}});
  CHECK(config->annotations ==
        model::StringMap{{"io.kubernetes.container.hash", "728940db"},
                         {"io.kubernetes.container.ports", R"([{"name":"http","hostPort":18080,"containerPort":8080,"protocol":"TCP"}])"},
                         {"io.kubernetes.container.preStopHandler", R"({"sleep":{"seconds":1}})"},
                         {"io.kubernetes.container.restartCount", "0"},
                         {"io.kubernetes.container.terminationMessagePath", "/dev/termination-log"},
                         {"io.kubernetes.container.terminationMessagePolicy", "File"},
                         {"io.kubernetes.pod.terminationGracePeriod", "5"}});
  model::LinuxResources resources;
  resources.cpu_period = 100000;
  resources.cpu_quota = 50000;
  resources.cpu_shares = 102;
  resources.memory_limit_bytes = resources.memory_swap_limit_bytes = 134217728;
  resources.oom_score_adj = 999;  // 64Mi of 33Gi; the golden machine was smaller
  CHECK(config->resources == resources);
  const auto& security = config->security;
  CHECK(security.add_capabilities == std::vector<std::string>{"NET_BIND_SERVICE"});
  CHECK(security.drop_capabilities == std::vector<std::string>{"ALL"});
  CHECK(security.no_new_privs);
  CHECK(security.read_only_root_filesystem);
  CHECK(security.run_as_user == 1000);
  CHECK(security.masked_paths.size() == 12);
  CHECK(security.readonly_paths == std::vector<std::string>{"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"});
  CHECK(security.seccomp->type == "RuntimeDefault");
}

TEST_CASE("golden: a privileged container of a pod on the host's network") {
  auto c = container("c");
  c.command = {"sleep", "3600"};
  c.security_context = model::SecurityContext{};
  c.security_context->privileged = true;
  auto wanted = pod({c});
  wanted.spec.host_network = wanted.spec.host_pid = true;
  const auto sandbox = make_sandbox_config(wanted, golden_node(), "/x", 0);
  REQUIRE(sandbox);
  CHECK(sandbox->hostname.empty());
  CHECK(sandbox->dns == model::ResolvedDns{{"10.77.0.1"}, {"rig.test"}, {"ndots:5"}});
  CHECK(sandbox->security.privileged);
  CHECK(sandbox->security.namespaces.network == NamespaceMode::kNode);
  CHECK(sandbox->security.namespaces.pid == NamespaceMode::kNode);
  CHECK(sandbox->resources.cpu_shares == 2);
  const auto config = make_container_config(wanted, c, golden_node(), {{}, 1, {}, {}, ""});
  REQUIRE(config);
  CHECK(config->log_path == "c/1.log");
  CHECK(config->annotations.at("io.kubernetes.container.restartCount") == "1");
  CHECK(config->security.run_as_user == 0);
  CHECK(config->security.seccomp->type == "Unconfined");
  CHECK(config->resources.oom_score_adj == 1000);
  CHECK(config->resources.cpu_shares == 2);
  CHECK(config->resources.cpu_quota == 0);
}

TEST_CASE("rows 15.6, 15.7, 15.15: shares, quota, OOM score") {
  CHECK(cpu_shares(0) == 2);
  CHECK(cpu_shares(100) == 102);
  CHECK(cpu_shares(1000) == 1024);
  CHECK(cpu_shares(1'000'000) == 262144);
  CHECK(cpu_quota(0, 100000) == 0);
  CHECK(cpu_quota(1, 100000) == 1000);
  CHECK(cpu_quota(500, 100000) == 50000);
  const auto wanted = rich();
  const int64_t memory = int64_t{16} << 30;
  CHECK(oom_score(wanted, wanted.spec.containers[0], memory) == 997);       // 1000 - 64Mi*1000/16Gi
  CHECK(oom_score(wanted, wanted.spec.init_containers[0], memory) == 999);  // nothing requested
  CHECK(oom_score(wanted, wanted.spec.init_containers[1], memory) == 997);  // a sidecar: not above the regular ones
  auto critical = pod();
  critical.spec.priority = 2000001000;
  CHECK(oom_score(critical, critical.spec.containers[0], memory) == -997);
  auto unified = golden_node();
  unified.unified_cgroups = true;
  const auto resources = container_resources(wanted, wanted.spec.containers[0], unified);
  CHECK(resources.unified.at("memory.oom.group") == "1");
  CHECK(resources.memory_swap_limit_bytes == 0);
}

TEST_CASE("row 16.3: runAsNonRoot is checked against the image") {
  struct Row {
    const char* what;
    std::optional<int64_t> asked, image_uid;
    const char *image_user, *error;
  };
  for (const Row& row :
       {Row{"user given", 7, {}, "", ""}, Row{"root given", 0, {}, "", "container's runAsUser breaks non-root policy"},
        Row{"image of a user", {}, 7, "", ""}, Row{"image of root", {}, 0, "", "container has runAsNonRoot and image will run as root"},
        Row{"image that says nothing", {}, {}, "", "container has runAsNonRoot and image will run as root"},
        Row{"image with a name",
            {},
            {},
            "www",
            "container has runAsNonRoot and image has non-numeric user (www), cannot verify user is non-root"}}) {
    CAPTURE(row.what);
    auto wanted = pod();
    wanted.spec.security_context.run_as_non_root = true;
    wanted.spec.security_context.run_as_user = row.asked;
    model::ImageInfo image;
    image.uid = row.image_uid;
    image.username = row.image_user;
    const auto security = container_security(wanted, wanted.spec.containers[0], node(), image);
    CHECK(security.has_value() == (row.error[0] == 0));
    if (!security) {
      CHECK(security.error().code == Code::kInvalid);
      CHECK(security.error().message() == std::string(row.error) + " (pod: \"p_default(uid-1)\", container: web)");
    }
  }
}

TEST_CASE("rows 16.1, 16.7, 16.10: the container's word comes before the pod's") {
  auto wanted = pod();
  wanted.spec.security_context.run_as_user = 1;
  auto& own = wanted.spec.containers[0].security_context.emplace();
  own.run_as_user = 2;
  own.seccomp_profile = model::SeccompProfile{"Localhost", "profiles/a.json"};
  own.proc_mount = "Unmasked";
  auto facts = node();
  facts.seccomp_root = "/var/lib/pintle/seccomp";
  const auto security = container_security(wanted, wanted.spec.containers[0], facts, {}, "target-id");
  REQUIRE(security);
  CHECK(security->run_as_user == 2);
  CHECK(security->seccomp->localhost_profile == "/var/lib/pintle/seccomp/profiles/a.json");
  CHECK(security->masked_paths.empty());
  CHECK(security->namespaces.pid == NamespaceMode::kTarget);  // row 27.2
  CHECK(security->namespaces.target_id == "target-id");
}

TEST_CASE("rows 13.2 and 9.11: $(VAR)") {
  const EnvList env = {{"A", "1"}, {"B", "two"}};
  struct Row {
    const char *text, *expected;
  };
  for (const Row& row : {Row{"$(A)", "1"}, Row{"x$(A)y$(B)", "x1ytwo"}, Row{"$$(A)", "$(A)"}, Row{"$$$(A)", "$1"}, Row{"$(C)", "$(C)"},
                         Row{"$A", "$A"}, Row{"$", "$"}, Row{"$(A", "$(A"}, Row{"", ""}, Row{"$()", "$()"}})
    CHECK(expand(row.text, env) == row.expected);
}

TEST_CASE("rows 13.1 and 13.7: order, optional and missing sources") {
  auto wanted = pod();
  auto& c = wanted.spec.containers[0];
  c.env_from = {{model::EnvFrom::Kind::kConfigMap, "", "cm1", false}, {model::EnvFrom::Kind::kConfigMap, "", "none", true}};
  c.env = {{"a", "over", {}}, {"OPT", "", model::ConfigMapKeyRef{{"cm1", "zz", true}}}, {"SVC", "$(KUBERNETES_SERVICE_HOST)", {}}};
  auto sources = sources_of(kMap, kSecret);
  sources.services = {{"KUBERNETES_SERVICE_HOST", "10.96.0.1"}, {"a", "service"}};
  CHECK(resolve_env(wanted, c, sources).value() ==
        EnvList{{"a", "over"}, {"b.txt", "two"}, {"SVC", "10.96.0.1"}, {"KUBERNETES_SERVICE_HOST", "10.96.0.1"}});
  const auto error = [&](model::EnvVar var) {
    c.env = {std::move(var)};
    const auto result = resolve_env(wanted, c, sources);
    return result ? std::string() : result.error().message();
  };
  CHECK(error({"X", "", model::ConfigMapKeyRef{{"cm1", "zz", false}}}) == "couldn't find key zz in ConfigMap default/cm1");
  CHECK(error({"X", "", model::SecretKeyRef{{"s1", "zz", false}}}) == "couldn't find key zz in Secret default/s1");
  CHECK(error({"X", "", model::SecretKeyRef{{"s2", "zz", false}}}) == "secret \"s2\" not found");
  c.env_from = {{model::EnvFrom::Kind::kConfigMap, "", "none", false}};
  CHECK(error({"X", "", {}}) == "configmap \"none\" not found");
  CHECK(needed_objects(rich()) ==
        std::vector<NeededObject>{{NeededObject::Kind::kSecret, "s1", false}, {NeededObject::Kind::kConfigMap, "cm1", false}});
}

TEST_CASE("rows 18.1 to 18.6: the resolver of a pod") {
  auto facts = golden_node();
  auto wanted = pod();
  wanted.spec.dns_policy = model::DnsPolicy::kDefault;
  CHECK(resolve_dns(wanted, facts).dns == facts.host_dns);
  wanted.spec.dns_policy = model::DnsPolicy::kNone;
  wanted.spec.dns_config = model::DnsConfig{{"1.1.1.1"}, {"x.y"}, {{"ndots", "2"}, {"debug", {}}}};
  CHECK(resolve_dns(wanted, facts).dns == model::ResolvedDns{{"1.1.1.1"}, {"x.y"}, {"ndots:2", "debug"}});
  wanted.spec.dns_policy = model::DnsPolicy::kClusterFirst;
  CHECK(resolve_dns(wanted, facts).dns.options == std::vector<std::string>{"ndots:2", "debug"});  // row 18.4
  wanted.spec.host_network = true;
  CHECK(resolve_dns(wanted, facts).dns.servers == std::vector<std::string>{"10.77.0.1", "1.1.1.1"});
  wanted.spec.dns_policy = model::DnsPolicy::kClusterFirstWithHostNet;
  CHECK(resolve_dns(wanted, facts).dns.servers == std::vector<std::string>{"10.96.0.10", "1.1.1.1"});
  wanted.spec.dns_config->nameservers = {"1.1.1.1", "2.2.2.2", "3.3.3.3"};
  const auto cut = resolve_dns(wanted, facts);  // row 18.5
  CHECK(cut.dns.servers.size() == 3);
  REQUIRE(cut.notes.size() == 1);
  CHECK(cut.notes[0].reason == "DNSConfigForming");
  facts.cluster_dns.clear();
  wanted.spec.dns_config.reset();
  const auto fallen_back = resolve_dns(wanted, facts);  // row 18.6
  CHECK(fallen_back.dns == facts.host_dns);
  CHECK(fallen_back.notes.at(0).reason == "MissingClusterDNS");
  facts.has_cluster = false;
  CHECK(resolve_dns(wanted, facts).notes.empty());
}

TEST_CASE("row 18.7: resolv.conf as hosts have it") {
  const auto dns = parse_resolv_conf(
      "# a comment\n; another\nsearch first.search\nnameserver 1.1.1.1 # inline\nnameserver\t2.2.2.2\r\nsearch a.b. c.d a.b\noptions "
      "ndots:2 ndots:2 rotate\n");
  REQUIRE(dns);
  CHECK(*dns == model::ResolvedDns{{"1.1.1.1", "2.2.2.2"}, {"a.b", "c.d"}, {"ndots:2", "rotate"}});
  CHECK_FALSE(parse_resolv_conf(std::string(11 * 1024 * 1024, ' ')));
}

TEST_CASE("rows 18.8 and 18.9: /etc/hosts and hostnames, to the tab") {
  auto wanted = rich();
  CHECK(hosts_file(wanted, {"10.244.0.48"}, golden_node()) ==
        "# Kubernetes-managed hosts file.\n127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::0\tip6-localnet\n"
        "fe00::0\tip6-mcastprefix\nfe00::1\tip6-allnodes\nfe00::2\tip6-allrouters\n"
        "10.244.0.48\trich-host.sub.default.svc.cluster.local\trich-host\n\n# Entries added by "
        "HostAliases.\n10.1.2.3\tfoo.local\tbar.local\n");
  wanted.spec.host_network = true;
  wanted.spec.host_aliases.clear();
  CHECK(hosts_file(wanted, {}, golden_node(), "127.0.0.1\thost\n") == "# Kubernetes-managed hosts file (host network).\n127.0.0.1\thost\n");
  auto plain = pod();
  plain.metadata.name = std::string(62, 'a') + "-b";
  CHECK(pod_hostname(plain, node()).name == std::string(62, 'a'));
  plain.metadata.name = "p";
  plain.spec.set_hostname_as_fqdn = true;
  CHECK(kernel_hostname(plain, node()).value() == "p");
  plain.spec.subdomain = "s";
  CHECK(kernel_hostname(plain, node()).value() == "p.s.default.svc.cluster.local");
  plain.spec.subdomain = std::string(60, 's');
  CHECK_FALSE(kernel_hostname(plain, node()));
  CHECK_FALSE(make_sandbox_config(plain, node(), "/x", 0));
}

TEST_CASE("row 6.16: what a container leaves as its last words") {
  auto c = container("web");
  std::string log;
  for (int i = 0; i < 100; ++i) log += "line " + std::to_string(i) + "\n";
  CHECK(termination_message(c, 1, {"bye\n", log}, 1) == "bye\n");
  CHECK(termination_message(c, 1, {"", log}, 1).empty());
  c.termination_message_policy = model::MessagePolicy::kFallbackToLogsOnError;
  CHECK(termination_message(c, 0, {"", log}, 1).empty());
  const auto tail = termination_message(c, 1, {"", log}, 1);
  CHECK(tail.starts_with("line 20\n"));
  CHECK(tail.ends_with("line 99\n"));
  CHECK(termination_message(c, 1, {"", std::string(5000, 'x')}, 1).size() == 2048);
  CHECK(termination_message(c, 1, {std::string(5000, 'x'), ""}, 1).size() == 4096);
  CHECK(termination_message(c, 1, {std::string(5000, 'x'), ""}, 6).size() == 2048);
  CHECK(join_messages("", "b") == "b");
  CHECK(join_messages("a", "b") == "a: b");
}
