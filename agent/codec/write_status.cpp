// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/model_writers.h"

namespace pintle::codec {

Json write(const model::Condition& condition) {
  Json out = {
      {"type", condition.type}, {"status", to_string(condition.status)}, {"lastProbeTime", nullptr}, {"lastTransitionTime", nullptr}};
  if (condition.last_transition_time) out["lastTransitionTime"] = write(*condition.last_transition_time);
  put(out, "reason", condition.reason);
  put(out, "message", condition.message);
  put(out, "observedGeneration", condition.observed_generation);
  return out;
}

Json write(const model::ContainerState& state) {
  Json out = Json::object();
  if (const auto* waiting = std::get_if<model::StateWaiting>(&state)) {
    Json& inner = out["waiting"] = Json::object();
    put(inner, "reason", waiting->reason);
    put(inner, "message", waiting->message);
  }
  if (const auto* running = std::get_if<model::StateRunning>(&state)) out["running"] = {{"startedAt", write(running->started_at)}};
  if (const auto* done = std::get_if<model::StateTerminated>(&state)) {
    Json& inner = out["terminated"] = {
        {"exitCode", done->exit_code}, {"startedAt", write(done->started_at)}, {"finishedAt", write(done->finished_at)}};
    put(inner, "signal", done->signal);
    put(inner, "reason", done->reason);
    put(inner, "message", done->message);
    put(inner, "containerID", done->container_id);
  }
  return out;
}

Json write(const model::ContainerStatus& status) {
  Json out = {{"name", status.name},
              {"image", status.image},
              {"imageID", status.image_id},
              {"ready", status.ready},
              {"restartCount", status.restart_count},
              {"state", write(status.state)},
              {"lastState", write(status.last_state)}};
  put(out, "containerID", status.container_id);
  put(out, "started", status.started);
  put(out, "volumeMounts", status.volume_mounts);
  put(out, "allocatedResources", status.allocated_resources);
  // The API has a pointer here: a container that never ran has no resources, one without limits has empty ones.
  if (!status.container_id.empty() || status.resources != model::Resources{}) out["resources"] = write(status.resources);
  return out;
}

static Json write_addresses(const std::vector<std::string>& addresses) {
  Json out = Json::array();
  for (const auto& address : addresses) out.push_back({{"ip", address}});
  return out;
}

Json write(const model::PodStatus& status) {
  Json out = {{"phase", to_string(status.phase)}};
  put(out, "reason", status.reason);
  put(out, "message", status.message);
  put(out, "observedGeneration", status.observed_generation);
  put(out, "conditions", status.conditions);
  put(out, "hostIP", status.host_ip);
  if (!status.host_ips.empty()) out["hostIPs"] = write_addresses(status.host_ips);
  if (!status.pod_ips.empty()) {
    out["podIP"] = status.pod_ips.front();
    out["podIPs"] = write_addresses(status.pod_ips);
  }
  put(out, "startTime", status.start_time);
  if (status.qos_class) out["qosClass"] = to_string(*status.qos_class);
  put(out, "initContainerStatuses", status.init_container_statuses);
  put(out, "containerStatuses", status.container_statuses);
  put(out, "ephemeralContainerStatuses", status.ephemeral_container_statuses);
  return out;
}

Json write(const model::NodeCondition& condition) {
  Json out = {{"type", condition.type},
              {"status", to_string(condition.status)},
              {"lastHeartbeatTime", write(condition.last_heartbeat_time)},
              {"lastTransitionTime", write(condition.last_transition_time)}};
  put(out, "reason", condition.reason);
  put(out, "message", condition.message);
  return out;
}
Json write(const model::NodeAddress& address) { return {{"type", address.type}, {"address", address.address}}; }
Json write(const model::NodeImage& image) {
  Json out = {{"names", image.names.empty() ? Json(nullptr) : write(image.names)}};
  if (image.size_bytes > 0) out["sizeBytes"] = image.size_bytes;
  return out;
}
Json write(const model::Taint& taint) {
  Json out = {{"key", taint.key}, {"effect", taint.effect}};
  put(out, "value", taint.value);
  return out;
}

Json write(const model::NodeSystemInfo& info) {
  return {{"machineID", info.machine_id},
          {"systemUUID", info.system_uuid},
          {"bootID", info.boot_id},
          {"kernelVersion", info.kernel_version},
          {"osImage", info.os_image},
          {"containerRuntimeVersion", info.container_runtime_version},
          {"kubeletVersion", info.kubelet_version},
          {"kubeProxyVersion", ""},  // deprecated and required
          {"operatingSystem", info.operating_system},
          {"architecture", info.architecture}};
}

Json write(const model::NodeStatus& status) {
  Json out = {{"nodeInfo", write(status.info)}};
  out["daemonEndpoints"]["kubeletEndpoint"]["Port"] = status.kubelet_port;
  put(out, "capacity", status.capacity);
  put(out, "allocatable", status.allocatable);
  put(out, "conditions", status.conditions);
  put(out, "addresses", status.addresses);
  put(out, "images", status.images);
  return out;
}

}  // namespace pintle::codec
