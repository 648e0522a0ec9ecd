// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "model/validate.h"

#include <functional>

#include <catch2/catch_test_macros.hpp>

#include "model/defaults.h"

namespace pintle::model {
namespace {

Container container(std::string name) {
  Container out;
  out.name = std::move(name);
  out.image = "busybox:1";
  return out;
}

// A pod that is right in every way and has a bit of everything.
Pod good_pod() {
  Pod pod;
  pod.metadata.name = "web.example";
  pod.metadata.labels = {{"app.kubernetes.io/name", "web"}, {"empty", ""}};
  pod.metadata.annotations = {{"Example.com/Note", "any text"}};
  pod.spec.volumes = {
      {"data", EmptyDirVolume{}}, {"host", HostPathVolume{.path = "/srv", .type = "Directory"}}, {"config", ConfigMapVolume{.name = "c"}}};
  Container side = container("side");
  side.restart_policy = RestartPolicy::kAlways;
  side.startup_probe = Probe{.action = ExecAction{{"true"}}};
  pod.spec.init_containers = {container("init"), side};
  Container main = container("main");
  main.ports = {{.name = "http", .host_ip = {}, .container_port = 80}};
  main.env = {{.name = "A", .value = "1"}};
  main.volume_mounts = {{.name = "data", .mount_path = "/data"}, {.name = "config", .mount_path = "/etc/c", .sub_path = "a/b"}};
  main.resources.limits["memory"] = Quantity::parse("64Mi").value();
  main.liveness_probe = Probe{.action = HttpGetAction{.path = {}, .host = {}, .port = std::string("http")}};
  main.readiness_probe = Probe{.action = TcpSocketAction{.host = {}, .port = int64_t{80}}, .success_threshold = 2};
  main.lifecycle.pre_stop = SleepAction{5};
  pod.spec.containers = {main, container("other")};
  apply_defaults(pod);
  return pod;
}

struct Row {
  std::string path, problem;  // the first error; `problem` is a part of its text
  std::function<void(Pod&)> spoil;
};

Container& main_of(Pod& pod) { return pod.spec.containers.at(0); }

}  // namespace

TEST_CASE("a right pod has no errors") {
  for (const auto& error : validate(good_pod())) FAIL_CHECK(error.path << ": " << error.problem);
}

TEST_CASE("each mistake is found, with its path and a fix") {
  const Row rows[] = {
      {"metadata.name", "is required", [](Pod& p) { p.metadata.name.clear(); }},
      {"metadata.name", "'Web' is not a name; use at most 253", [](Pod& p) { p.metadata.name = "Web"; }},
      {"metadata.name", "is not a name", [](Pod& p) { p.metadata.name = "a..b"; }},
      {"metadata.name", "is not a name", [](Pod& p) { p.metadata.name = std::string(254, 'a'); }},
      {"metadata.namespace", "is not a name; use at most 63", [](Pod& p) { p.metadata.namespace_ = "a.b"; }},
      {"metadata.labels[a b]", "is not a label key", [](Pod& p) { p.metadata.labels["a b"] = "x"; }},
      {"metadata.labels[a]", "'-x' is not a label value", [](Pod& p) { p.metadata.labels["a"] = "-x"; }},
      {"metadata.annotations", "at most 262144", [](Pod& p) { p.metadata.annotations["a"] = std::string(300'000, 'x'); }},
      {"spec.containers", "at least one container", [](Pod& p) { p.spec.containers.clear(); }},
      {"spec.terminationGracePeriodSeconds", "-1 is too small; at least 0",
       [](Pod& p) {
         p.spec.containers[0].lifecycle.pre_stop.reset();
         p.spec.termination_grace_period_seconds = -1;
       }},
      {"spec.activeDeadlineSeconds", "0 is too small; at least 1", [](Pod& p) { p.spec.active_deadline_seconds = 0; }},
      {"spec.hostname", "'a.b' is not a name", [](Pod& p) { p.spec.hostname = "a.b"; }},
      {"spec.dnsConfig.nameservers", "at least one server", [](Pod& p) { p.spec.dns_policy = DnsPolicy::kNone; }},
      {"spec.shareProcessNamespace", "together with hostPID", [](Pod& p) { p.spec.share_process_namespace = p.spec.host_pid = true; }},
      {"spec.hostUsers", "can't be false together with hostNetwork",
       [](Pod& p) {
         p.spec.host_users = false;
         p.spec.host_ipc = true;
       }},
      {"spec.tolerations[0].operator", "must be 'Exists' when key is empty", [](Pod& p) { p.spec.tolerations.emplace_back(); }},
      {"spec.hostAliases[0].hostnames[0]", "is not a host name", [](Pod& p) { p.spec.host_aliases = {{"1.2.3.4", {"a_b"}}}; }},
      {"spec.securityContext", "-5 is not a user or group id", [](Pod& p) { p.spec.security_context.run_as_user = -5; }},
      {"spec.volumes[1].name", "'data' is used twice; volume names must differ", [](Pod& p) { p.spec.volumes[1].name = "data"; }},
      {"spec.volumes[1].hostPath.path", "'srv' is not absolute",
       [](Pod& p) { p.spec.volumes[1].source = HostPathVolume{.path = "srv", .type = {}}; }},
      {"spec.volumes[1].hostPath.path", "must not contain '..'",
       [](Pod& p) { p.spec.volumes[1].source = HostPathVolume{.path = "/a/../b", .type = {}}; }},
      {"spec.volumes[1].hostPath.type", "'Dir' is not one of",
       [](Pod& p) { p.spec.volumes[1].source = HostPathVolume{.path = "/a", .type = "Dir"}; }},
      {"spec.volumes[0].emptyDir.medium", "'memory' is not one of",
       [](Pod& p) { p.spec.volumes[0].source = EmptyDirVolume{.medium = "memory"}; }},
      {"spec.volumes[2].configMap.name", "is required", [](Pod& p) { p.spec.volumes[2].source = ConfigMapVolume{}; }},
      {"spec.volumes[2].secret.secretName", "is required", [](Pod& p) { p.spec.volumes[2].source = SecretVolume{}; }},
      {"spec.volumes[2].configMap.items[0].path", "leaves the volume",
       [](Pod& p) { p.spec.volumes[2].source = ConfigMapVolume{.name = "c", .items = {{.key = "k", .path = "a/../../b"}}}; }},
      {"spec.volumes[2].configMap.defaultMode", "1000 is not a file mode",
       [](Pod& p) { p.spec.volumes[2].source = ConfigMapVolume{.name = "c", .items = {}, .default_mode = 1000}; }},
      {"spec.volumes[2].projected.sources[0].serviceAccountToken.expirationSeconds", "60 is too small; at least 600",
       [](Pod& p) {
         p.spec.volumes[2].source = ProjectedVolume{.sources = {TokenProjection{.audience = {}, .path = "t", .expiration_seconds = 60}}};
       }},
      {"spec.volumes[2].downwardAPI.items[0].resourceFieldRef.containerName", "is required",
       [](Pod& p) {
         p.spec.volumes[2].source =
             DownwardApiVolume{.items = {{.path = "x", .source = ResourceFieldRef{.container_name = {}, .resource = "limits.cpu"}}}};
       }},
      {"spec.containers[1].name", "'main' is used twice; container names must differ", [](Pod& p) { p.spec.containers[1].name = "main"; }},
      {"spec.containers[0].name", "'init' is used twice", [](Pod& p) { p.spec.containers[0].name = "init"; }},
      {"spec.containers[0].name", "is required", [](Pod& p) { main_of(p).name.clear(); }},
      {"spec.containers[0].image", "is required", [](Pod& p) { main_of(p).image.clear(); }},
      {"spec.containers[0].image", "contains blanks", [](Pod& p) { main_of(p).image = "busy box"; }},
      {"spec.containers[0].ports[0].containerPort", "0 is not a port; use 1 to 65535",
       [](Pod& p) { main_of(p).ports[0].container_port = 0; }},
      {"spec.containers[0].ports[0].hostPort", "70000 is not a port", [](Pod& p) { main_of(p).ports[0].host_port = 70000; }},
      {"spec.containers[0].ports[0].name", "'http-over-quic-3' is not a port name",
       [](Pod& p) { main_of(p).ports[0].name = "http-over-quic-3"; }},
      {"spec.containers[0].ports[1].name", "'http' is used twice",
       [](Pod& p) { main_of(p).ports.push_back({.name = "http", .host_ip = {}, .container_port = 81}); }},
      {"spec.containers[1].ports[0].hostPort", "8080 is used twice in this pod",
       [](Pod& p) {
         main_of(p).ports[0].host_port = 8080;
         p.spec.containers[1].ports.push_back({.name = {}, .host_ip = {}, .container_port = 81, .host_port = 8080});
       }},
      {"spec.containers[0].ports[0].hostPort", "must be 80",
       [](Pod& p) {
         p.spec.host_network = true;
         main_of(p).ports[0].host_port = 81;
       }},
      {"spec.containers[0].env[0].name", "is required", [](Pod& p) { main_of(p).env[0].name.clear(); }},
      {"spec.containers[0].env[0].name", "'A=B' is not a variable's name", [](Pod& p) { main_of(p).env[0].name = "A=B"; }},
      {"spec.containers[0].env[0].valueFrom", "together with value",
       [](Pod& p) { main_of(p).env[0].value_from = FieldRef{"metadata.name"}; }},
      {"spec.containers[0].envFrom[0].configMapRef.name", "is required", [](Pod& p) { main_of(p).env_from.emplace_back(); }},
      {"spec.containers[0].volumeMounts[0].name", "the pod has no volume 'dat'; add it to spec.volumes (there are: config, data, host)",
       [](Pod& p) { main_of(p).volume_mounts[0].name = "dat"; }},
      {"spec.containers[0].volumeMounts[0].mountPath", "'data' is not absolute",
       [](Pod& p) { main_of(p).volume_mounts[0].mount_path = "data"; }},
      {"spec.containers[0].volumeMounts[1].mountPath", "'/data' is used twice",
       [](Pod& p) { main_of(p).volume_mounts[1].mount_path = "/data"; }},
      {"spec.containers[0].volumeMounts[1].subPath", "leaves the volume", [](Pod& p) { main_of(p).volume_mounts[1].sub_path = "../x"; }},
      {"spec.containers[0].volumeMounts[1].subPathExpr", "together with subPath",
       [](Pod& p) { main_of(p).volume_mounts[1].sub_path_expr = "x"; }},
      {"spec.containers[0].volumeMounts[0].mountPropagation", "needs securityContext.privileged",
       [](Pod& p) { main_of(p).volume_mounts[0].propagation = VolumeMount::Propagation::kBidirectional; }},
      {"spec.containers[0].volumeMounts[0].recursiveReadOnly", "needs readOnly",
       [](Pod& p) { main_of(p).volume_mounts[0].recursive_read_only = "Enabled"; }},
      {"spec.containers[0].resources.requests.memory", "1Gi is more than the limit of 64Mi; lower the request or raise the limit",
       [](Pod& p) { main_of(p).resources.requests["memory"] = Quantity::parse("1Gi").value(); }},
      {"spec.containers[0].resources.limits.cpu", "-1 is negative",
       [](Pod& p) { main_of(p).resources.limits["cpu"] = Quantity::parse("-1").value(); }},
      {"spec.containers[0].livenessProbe.periodSeconds", "0 is too small; at least 1",
       [](Pod& p) { main_of(p).liveness_probe->period_seconds = 0; }},
      {"spec.containers[0].livenessProbe.successThreshold", "must be 1", [](Pod& p) { main_of(p).liveness_probe->success_threshold = 2; }},
      {"spec.containers[0].livenessProbe.httpGet.port", "neither a port number nor",
       [](Pod& p) { std::get<HttpGetAction>(main_of(p).liveness_probe->action).port = std::string("a b"); }},
      {"spec.containers[0].livenessProbe.httpGet.scheme", "'http' is not one of HTTP, HTTPS",
       [](Pod& p) { std::get<HttpGetAction>(main_of(p).liveness_probe->action).scheme = "http"; }},
      {"spec.containers[0].livenessProbe.exec.command", "is required", [](Pod& p) { main_of(p).liveness_probe->action = ExecAction{}; }},
      {"spec.containers[0].livenessProbe.grpc.port", "0 is not a port", [](Pod& p) { main_of(p).liveness_probe->action = GrpcAction{}; }},
      {"spec.containers[0].readinessProbe.terminationGracePeriodSeconds", "is not allowed",
       [](Pod& p) { main_of(p).readiness_probe->termination_grace_period_seconds = 5; }},
      {"spec.containers[0].lifecycle.preStop.sleep.seconds", "31 is not within 0 and terminationGracePeriodSeconds (30)",
       [](Pod& p) { main_of(p).lifecycle.pre_stop = SleepAction{31}; }},
      {"spec.initContainers[0].livenessProbe", "set restartPolicy: Always to make it a sidecar",
       [](Pod& p) { p.spec.init_containers[0].liveness_probe = Probe{.action = ExecAction{{"true"}}}; }},
      {"spec.initContainers[0].lifecycle", "is not allowed on an init container",
       [](Pod& p) { p.spec.init_containers[0].lifecycle.post_start = ExecAction{{"true"}}; }},
      {"spec.ephemeralContainers[0].startupProbe", "is not allowed on an ephemeral container",
       [](Pod& p) {
         p.spec.ephemeral_containers = {container("debug")};
         p.spec.ephemeral_containers[0].startup_probe = Probe{.action = ExecAction{{"true"}}};
       }},
      {"spec.containers[0].terminationMessagePath", "is not absolute", [](Pod& p) { main_of(p).termination_message_path = "log"; }},
      {"spec.containers[0].securityContext.allowPrivilegeEscalation", "can't be false for a privileged container",
       [](Pod& p) {
         main_of(p).security_context = SecurityContext{.capabilities = {}, .privileged = true, .allow_privilege_escalation = false};
       }},
      {"spec.containers[0].securityContext.seccompProfile.localhostProfile", "is required for type Localhost",
       [](Pod& p) { main_of(p).security_context.emplace().seccomp_profile = SeccompProfile{"Localhost", ""}; }},
  };
  for (const auto& row : rows) {
    Pod pod = good_pod();
    row.spoil(pod);
    const auto errors = validate(pod);
    INFO(row.path << ": " << row.problem);
    REQUIRE_FALSE(errors.empty());
    INFO("found: " << errors[0].path << ": " << errors[0].problem);
    CHECK(errors[0].path == row.path);
    CHECK(errors[0].problem.find(row.problem) != std::string::npos);
  }
}

}  // namespace pintle::model
