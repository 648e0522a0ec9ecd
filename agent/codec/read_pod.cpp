// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <fmt/format.h>

#include "codec/model_readers.h"

namespace pintle::codec {
namespace {

// [{"name": "a"}, …] as the names alone.
auto names_of(std::string_view field, std::vector<std::string>& out) {
  return [field, &out](const Cursor& list) {
    if (!list.node().is_list()) return list.expected("a list");
    for (size_t i = 0; i < list.node().children.size(); ++i) {
      const Cursor element(list, list.node().children[i], i);
      Fields fields(element);
      fields(field, out.emplace_back());
    }
  };
}

}  // namespace

static void read(const Cursor& cursor, model::DnsPolicy& out) {
  using enum model::DnsPolicy;
  read_enum(cursor, out, {kClusterFirst, kClusterFirstWithHostNet, kDefault, kNone});
}
static void read(const Cursor& cursor, model::DnsOption& out) {
  Fields fields(cursor);
  fields("name", out.name);
  fields("value", out.value);
}
static void read(const Cursor& cursor, model::DnsConfig& out) {
  Fields fields(cursor);
  fields("nameservers", out.nameservers);
  fields("searches", out.searches);
  fields("options", out.options);
}
static void read(const Cursor& cursor, model::HostAlias& out) {
  Fields fields(cursor);
  fields.required("ip", out.ip);
  fields("hostnames", out.hostnames);
}
static void read(const Cursor& cursor, model::Toleration& out) {
  Fields fields(cursor);
  fields("key", out.key);
  fields("operator", out.op);
  fields("value", out.value);
  fields("effect", out.effect);
  fields("tolerationSeconds", out.seconds);
}

static void read_sysctls(const Cursor& list, model::StringMap& out) {
  if (!list.node().is_list()) return list.expected("a list");
  for (size_t i = 0; i < list.node().children.size(); ++i) {
    const Cursor element(list, list.node().children[i], i);
    Fields fields(element);
    std::string name, value;
    fields.required("name", name);
    fields.required("value", value);
    if (!out.emplace(name, value).second) element.error(fmt::format("the sysctl '{}' is given twice", name.substr(0, 60)));
  }
}

static void read(const Cursor& cursor, model::PodSecurityContext& out) {
  Fields fields(cursor);
  fields("runAsUser", out.run_as_user);
  fields("runAsGroup", out.run_as_group);
  fields("fsGroup", out.fs_group);
  fields("runAsNonRoot", out.run_as_non_root);
  fields("supplementalGroups", out.supplemental_groups);
  fields("supplementalGroupsPolicy", out.supplemental_groups_policy);
  fields("fsGroupChangePolicy", out.fs_group_change_policy);
  fields.with("sysctls", [&](const Cursor& at) { read_sysctls(at, out.sysctls); });
  fields("seccompProfile", out.seccomp_profile);
  fields("appArmorProfile", out.app_armor_profile);
  fields("seLinuxOptions", out.se_linux_options);
  fields.ignore({"seLinuxChangePolicy", "windowsOptions"});
}

void read(const Cursor& cursor, model::PodSpec& out) {
  Fields fields(cursor);
  fields("initContainers", out.init_containers);
  fields("containers", out.containers);
  fields("ephemeralContainers", out.ephemeral_containers);
  fields("volumes", out.volumes);
  fields("restartPolicy", out.restart_policy);
  fields("terminationGracePeriodSeconds", out.termination_grace_period_seconds);
  fields("activeDeadlineSeconds", out.active_deadline_seconds);
  fields("dnsPolicy", out.dns_policy);
  fields("dnsConfig", out.dns_config);
  fields("nodeSelector", out.node_selector);
  fields("serviceAccount", out.service_account_name);  // the old name; the new one below wins
  fields("serviceAccountName", out.service_account_name);
  fields("nodeName", out.node_name);
  fields("hostname", out.hostname);
  fields("subdomain", out.subdomain);
  fields("priorityClassName", out.priority_class_name);
  fields("runtimeClassName", out.runtime_class_name);
  fields("hostNetwork", out.host_network);
  fields("hostPID", out.host_pid);
  fields("hostIPC", out.host_ipc);
  fields("hostUsers", out.host_users);
  fields("shareProcessNamespace", out.share_process_namespace);
  fields("setHostnameAsFQDN", out.set_hostname_as_fqdn);
  fields("enableServiceLinks", out.enable_service_links);
  fields("automountServiceAccountToken", out.automount_service_account_token);
  fields("priority", out.priority);
  fields("securityContext", out.security_context);
  fields.with("imagePullSecrets", names_of("name", out.image_pull_secrets));
  fields("hostAliases", out.host_aliases);
  fields("tolerations", out.tolerations);
  fields.with("readinessGates", names_of("conditionType", out.readiness_gates));
  fields("overhead", out.overhead);
  fields.ignore({"affinity", "hostnameOverride", "os", "preemptionPolicy", "resourceClaims", "resources", "schedulerName",
                 "schedulingGates", "schedulingGroup", "topologySpreadConstraints", "workloadRef"});
}

static void read(const Cursor& cursor, model::Condition& out) {
  Fields fields(cursor);
  fields("type", out.type);
  fields("status", out.status);
  fields("reason", out.reason);
  fields("message", out.message);
  fields("lastTransitionTime", out.last_transition_time);
  fields("observedGeneration", out.observed_generation);
  fields.ignore({"lastProbeTime"});
}

static void read(const Cursor& cursor, model::StateWaiting& out) {
  Fields fields(cursor);
  fields("reason", out.reason);
  fields("message", out.message);
}
static void read(const Cursor& cursor, model::StateRunning& out) {
  Fields fields(cursor);
  fields("startedAt", out.started_at);
}
static void read(const Cursor& cursor, model::StateTerminated& out) {
  Fields fields(cursor);
  fields("exitCode", out.exit_code);
  fields("signal", out.signal);
  fields("reason", out.reason);
  fields("message", out.message);
  fields("containerID", out.container_id);
  fields("startedAt", out.started_at);
  fields("finishedAt", out.finished_at);
}
static void read_state(const Cursor& cursor, model::ContainerState& out) {
  Fields fields(cursor);
  if (fields.find("waiting") != nullptr) fields("waiting", out.emplace<model::StateWaiting>());
  if (fields.find("running") != nullptr) fields("running", out.emplace<model::StateRunning>());
  if (fields.find("terminated") != nullptr) fields("terminated", out.emplace<model::StateTerminated>());
}

static void read(const Cursor& cursor, model::ContainerStatus& out) {
  Fields fields(cursor);
  fields("name", out.name);
  fields("image", out.image);
  fields("imageID", out.image_id);
  fields("containerID", out.container_id);
  fields("ready", out.ready);
  fields("started", out.started);
  fields("restartCount", out.restart_count);
  fields.with("state", [&](const Cursor& at) { read_state(at, out.state); });
  fields.with("lastState", [&](const Cursor& at) { read_state(at, out.last_state); });
  fields("volumeMounts", out.volume_mounts);
  fields("resources", out.resources);
  fields("allocatedResources", out.allocated_resources);
  fields.ignore({"allocatedResourcesStatus", "stopSignal", "user"});
}

static void read(const Cursor& cursor, model::Phase& out) {
  using enum model::Phase;
  read_enum(cursor, out, {kPending, kRunning, kSucceeded, kFailed, kUnknown});
}
static void read(const Cursor& cursor, model::QosClass& out) {
  using enum model::QosClass;
  read_enum(cursor, out, {kGuaranteed, kBurstable, kBestEffort});
}

void read(const Cursor& cursor, model::PodStatus& out) {
  Fields fields(cursor);
  fields("phase", out.phase);
  fields("reason", out.reason);
  fields("message", out.message);
  fields("observedGeneration", out.observed_generation);
  fields("conditions", out.conditions);
  fields("hostIP", out.host_ip);
  fields.with("hostIPs", names_of("ip", out.host_ips));
  fields.with("podIPs", names_of("ip", out.pod_ips));
  std::string pod_ip;
  fields("podIP", pod_ip);
  if (out.pod_ips.empty() && !pod_ip.empty()) out.pod_ips.push_back(pod_ip);
  fields("startTime", out.start_time);
  fields("qosClass", out.qos_class);
  fields("initContainerStatuses", out.init_container_statuses);
  fields("containerStatuses", out.container_statuses);
  fields("ephemeralContainerStatuses", out.ephemeral_container_statuses);
  fields.ignore({"allocatedResources", "extendedResourceClaimStatus", "nominatedNodeName", "resize", "resourceClaimStatuses", "resources"});
}

void read(const Cursor& cursor, model::Pod& out) {
  Fields fields(cursor);
  read_type(fields, "v1", "Pod");
  fields("metadata", out.metadata);
  fields("spec", out.spec);
  fields("status", out.status);
}

}  // namespace pintle::codec
