// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/model_writers.h"

namespace pintle::codec {

Json write(const model::KeyToPath& item) {
  Json out = {{"key", item.key}, {"path", item.path}};
  put(out, "mode", item.mode);
  return out;
}
Json write(const model::DownwardItem& item) {
  Json out = {{"path", item.path}};
  put(out, "mode", item.mode);
  if (const auto* field = std::get_if<model::FieldRef>(&item.source)) out["fieldRef"] = write(*field);
  if (const auto* resource = std::get_if<model::ResourceFieldRef>(&item.source)) out["resourceFieldRef"] = write(*resource);
  return out;
}

template <typename Source>
static Json write_config(const Source& source, const char* name_field) {
  Json out = Json::object();
  put(out, name_field, source.name);
  put(out, "items", source.items);
  put(out, "defaultMode", source.default_mode);
  put(out, "optional", source.optional);
  return out;
}
Json write(const model::DownwardApiVolume& volume) {
  Json out = Json::object();
  put(out, "items", volume.items);
  put(out, "defaultMode", volume.default_mode);
  return out;
}

// One of these names the kind inside a volume.
static void put_source(Json& out, const model::EmptyDirVolume& volume) {
  Json& source = out["emptyDir"] = Json::object();
  put(source, "medium", volume.medium);
  put(source, "sizeLimit", volume.size_limit);
}
// The API always writes a hostPath's type, even an empty one.
static void put_source(Json& out, const model::HostPathVolume& volume) { out["hostPath"] = {{"path", volume.path}, {"type", volume.type}}; }
static void put_source(Json& out, const model::ConfigMapVolume& volume) { out["configMap"] = write_config(volume, "name"); }
static void put_source(Json& out, const model::SecretVolume& volume) { out["secret"] = write_config(volume, "secretName"); }
static void put_source(Json& out, const model::DownwardApiVolume& volume) { out["downwardAPI"] = write(volume); }
static void put_source(Json& out, const model::ProjectedVolume& volume) {
  Json& projected = out["projected"] = Json::object();
  put(projected, "defaultMode", volume.default_mode);
  Json& sources = projected["sources"] = Json::array();
  for (const auto& source : volume.sources) {
    Json item = Json::object();
    if (const auto* token = std::get_if<model::TokenProjection>(&source)) {
      item["serviceAccountToken"] = {{"path", token->path}, {"expirationSeconds", token->expiration_seconds}};
      put(item["serviceAccountToken"], "audience", token->audience);
    }
    if (const auto* config = std::get_if<model::ConfigMapVolume>(&source)) item["configMap"] = write_config(*config, "name");
    if (const auto* secret = std::get_if<model::SecretVolume>(&source)) item["secret"] = write_config(*secret, "name");
    if (const auto* downward = std::get_if<model::DownwardApiVolume>(&source)) item["downwardAPI"] = write(*downward);
    sources.push_back(std::move(item));
  }
}
// What it held is not kept; its kind is, so that the pod reads back as held for the same reason.
static void put_source(Json& out, const model::UnsupportedVolume& volume) { out[volume.kind] = Json::object(); }

Json write(const model::Volume& volume) {
  Json out = {{"name", volume.name}};
  std::visit([&](const auto& source) { put_source(out, source); }, volume.source);
  return out;
}

Json write(const model::HostAlias& alias) {
  Json out = {{"ip", alias.ip}};
  put(out, "hostnames", alias.hostnames);
  return out;
}
Json write(const model::DnsOption& option) {
  Json out = {{"name", option.name}};
  put(out, "value", option.value);
  return out;
}
Json write(const model::DnsConfig& config) {
  Json out = Json::object();
  put(out, "nameservers", config.nameservers);
  put(out, "searches", config.searches);
  put(out, "options", config.options);
  return out;
}
Json write(const model::Toleration& toleration) {
  Json out = Json::object();
  put(out, "key", toleration.key);
  put(out, "operator", toleration.op);
  put(out, "value", toleration.value);
  put(out, "effect", toleration.effect);
  put(out, "tolerationSeconds", toleration.seconds);
  return out;
}
Json write(const model::PodSecurityContext& context) {
  Json out = Json::object();
  put(out, "runAsUser", context.run_as_user);
  put(out, "runAsGroup", context.run_as_group);
  put(out, "fsGroup", context.fs_group);
  put(out, "runAsNonRoot", context.run_as_non_root);
  put(out, "supplementalGroups", context.supplemental_groups);
  put(out, "supplementalGroupsPolicy", context.supplemental_groups_policy);
  put(out, "fsGroupChangePolicy", context.fs_group_change_policy);
  for (const auto& [name, value] : context.sysctls) out["sysctls"].push_back({{"name", name}, {"value", value}});
  put(out, "seccompProfile", context.seccomp_profile);
  put(out, "appArmorProfile", context.app_armor_profile);
  put(out, "seLinuxOptions", context.se_linux_options);
  return out;
}

static void put_objects(Json& out, const char* name, const char* field, const std::vector<std::string>& values) {
  for (const auto& value : values) out[name].push_back({{field, value}});
}

Json write(const model::PodSpec& spec) {
  Json out = {{"containers", write(spec.containers)},
              {"restartPolicy", to_string(spec.restart_policy)},
              {"terminationGracePeriodSeconds", spec.termination_grace_period_seconds},
              {"dnsPolicy", to_string(spec.dns_policy)},
              {"enableServiceLinks", spec.enable_service_links},
              {"securityContext", write(spec.security_context)}};
  put(out, "initContainers", spec.init_containers);
  put(out, "ephemeralContainers", spec.ephemeral_containers);
  put(out, "volumes", spec.volumes);
  put(out, "activeDeadlineSeconds", spec.active_deadline_seconds);
  put(out, "dnsConfig", spec.dns_config);
  put(out, "nodeSelector", spec.node_selector);
  put(out, "serviceAccountName", spec.service_account_name);
  put(out, "serviceAccount", spec.service_account_name);
  put(out, "nodeName", spec.node_name);
  put(out, "hostname", spec.hostname);
  put(out, "subdomain", spec.subdomain);
  put(out, "priorityClassName", spec.priority_class_name);
  put(out, "runtimeClassName", spec.runtime_class_name);
  put(out, "hostNetwork", spec.host_network);
  put(out, "hostPID", spec.host_pid);
  put(out, "hostIPC", spec.host_ipc);
  put(out, "hostUsers", spec.host_users);
  put(out, "shareProcessNamespace", spec.share_process_namespace);
  put(out, "setHostnameAsFQDN", spec.set_hostname_as_fqdn);
  put(out, "automountServiceAccountToken", spec.automount_service_account_token);
  put(out, "priority", spec.priority);
  put_objects(out, "imagePullSecrets", "name", spec.image_pull_secrets);
  put(out, "hostAliases", spec.host_aliases);
  put(out, "tolerations", spec.tolerations);
  put_objects(out, "readinessGates", "conditionType", spec.readiness_gates);
  put(out, "overhead", spec.overhead);
  return out;
}

}  // namespace pintle::codec
