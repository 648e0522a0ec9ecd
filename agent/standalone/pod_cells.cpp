// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
// What `kubectl get pods` says of a pod: READY, STATUS and RESTARTS are made of many fields, in this order of precedence.
#include <algorithm>

#include <fmt/format.h>

#include "standalone/table.h"

namespace pintle::standalone {
namespace {

struct Summary {
  std::string status;
  int64_t restarts = 0, ready = 0;
  std::string last_restart;  // newest finish of an earlier attempt
};

std::string terminated_reason(const Json& terminated) {
  if (std::string reason = text_at(terminated, "reason"); !reason.empty()) return reason;
  if (const auto signal = integer_at(terminated, "signal"); signal && *signal != 0) return fmt::format("Signal:{}", *signal);
  return fmt::format("ExitCode:{}", integer_at(terminated, "exitCode").value_or(0));
}

void note_restarts(Summary& summary, const Json& status) {
  summary.restarts += integer_at(status, "restartCount").value_or(0);
  const std::string finished = text_at(status, "lastState", "terminated", "finishedAt");
  if (finished > summary.last_restart) summary.last_restart = finished;  // RFC 3339 in UTC sorts as text
}

bool is_sidecar(const Json& pod, const std::string& name) {
  for (const auto& container : list_at(pod, "spec", "initContainers"))
    if (text_at(container, "name") == name) return text_at(container, "restartPolicy") == "Always";
  return false;
}

// Init containers in order: the first one that isn't done names the status. True when one was found.
bool summarize_init(const Json& pod, Summary& summary) {
  const auto& statuses = list_at(pod, "status", "initContainerStatuses");
  const size_t total = list_at(pod, "spec", "initContainers").size();
  Summary sidecars;
  for (size_t i = 0; i < statuses.size(); ++i) {
    const Json& status = statuses[i];
    note_restarts(summary, status);
    const bool sidecar = is_sidecar(pod, text_at(status, "name"));
    if (sidecar) note_restarts(sidecars, status);
    const Json* terminated = find(status, "state", "terminated");
    if (terminated != nullptr && integer_at(*terminated, "exitCode").value_or(0) == 0) continue;
    if (sidecar && flag_at(status, "started")) {
      if (flag_at(status, "ready")) ++summary.ready;
      continue;
    }
    if (terminated != nullptr) {
      summary.status = "Init:" + terminated_reason(*terminated);
    } else if (const std::string waiting = text_at(status, "state", "waiting", "reason");
               !waiting.empty() && waiting != "PodInitializing") {
      summary.status = "Init:" + waiting;
    } else {
      summary.status = fmt::format("Init:{}/{}", i, total);
    }
    return true;
  }
  // Init containers that are over don't count any more; sidecars live on and do.
  summary.restarts = sidecars.restarts;
  summary.last_restart = sidecars.last_restart;
  return false;
}

bool pod_is_ready(const Json& pod) {
  for (const auto& condition : list_at(pod, "status", "conditions"))
    if (text_at(condition, "type") == "Ready") return text_at(condition, "status") == "True";
  return false;
}

void summarize_containers(const Json& pod, Summary& summary) {
  bool any_running = false;
  const auto& statuses = list_at(pod, "status", "containerStatuses");
  for (auto it = statuses.rbegin(); it != statuses.rend(); ++it) {
    note_restarts(summary, *it);
    const std::string waiting = text_at(*it, "state", "waiting", "reason");
    const Json* terminated = find(*it, "state", "terminated");
    if (!waiting.empty())
      summary.status = waiting;
    else if (terminated != nullptr)
      summary.status = terminated_reason(*terminated);
    else if (flag_at(*it, "ready") && find(*it, "state", "running") != nullptr) {
      any_running = true;
      ++summary.ready;
    }
  }
  if (summary.status == "Completed" && any_running) summary.status = pod_is_ready(pod) ? "Running" : "NotReady";
}

Summary summarize(const Json& pod) {
  Summary summary;
  summary.status = text_at(pod, "status", "phase");
  if (const std::string reason = text_at(pod, "status", "reason"); !reason.empty()) summary.status = reason;
  for (const auto& condition : list_at(pod, "status", "conditions"))
    if (text_at(condition, "type") == "PodScheduled" && text_at(condition, "reason") == "SchedulingGated")
      summary.status = "SchedulingGated";
  bool initialized = true;
  if (summarize_init(pod, summary)) {
    initialized = false;
    for (const auto& condition : list_at(pod, "status", "conditions"))
      if (text_at(condition, "type") == "Initialized" && text_at(condition, "status") == "True") initialized = true;
  }
  if (initialized) summarize_containers(pod, summary);
  if (find(pod, "metadata", "deletionTimestamp") != nullptr) {
    if (text_at(pod, "status", "reason") == "NodeLost")
      summary.status = "Unknown";
    else if (const std::string phase = text_at(pod, "status", "phase"); phase != "Succeeded" && phase != "Failed")
      summary.status = "Terminating";
  }
  return summary;
}

std::string readiness_gates(const Json& pod) {
  const auto& gates = list_at(pod, "spec", "readinessGates");
  if (gates.empty()) return "<none>";
  size_t passed = 0;
  for (const auto& gate : gates)
    for (const auto& condition : list_at(pod, "status", "conditions"))
      if (text_at(condition, "type") == text_at(gate, "conditionType") && text_at(condition, "status") == "True") ++passed;
  return fmt::format("{}/{}", passed, gates.size());
}

}  // namespace

Json pod_cells(const Json& pod, Time now) {
  const Summary summary = summarize(pod);
  size_t total = list_at(pod, "spec", "containers").size();
  for (const auto& container : list_at(pod, "spec", "initContainers"))
    if (text_at(container, "restartPolicy") == "Always") ++total;
  std::string restarts = std::to_string(summary.restarts);
  if (summary.restarts != 0 && !summary.last_restart.empty()) restarts += fmt::format(" ({} ago)", age_of(summary.last_restart, now));
  const auto or_none = [](std::string text) { return text.empty() ? std::string("<none>") : text; };
  std::string ip = text_at(pod, "status", "podIP");
  if (const auto& ips = list_at(pod, "status", "podIPs"); !ips.empty()) ip = text_at(ips[0], "ip");
  return {text_at(pod, "metadata", "name"),
          fmt::format("{}/{}", summary.ready, total),
          summary.status,
          restarts,
          age_of(text_at(pod, "metadata", "creationTimestamp"), now),
          or_none(ip),
          or_none(text_at(pod, "spec", "nodeName")),
          or_none(text_at(pod, "status", "nominatedNodeName")),
          readiness_gates(pod)};
}

}  // namespace pintle::standalone
