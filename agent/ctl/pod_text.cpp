// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "ctl/pod_text.h"

#include <algorithm>

#include <fmt/format.h>

#include "ctl/human.h"

namespace pintle::ctl {
namespace {

using v1::Container;
using v1::ContainerState;

bool has_condition(const v1::Pod& pod, std::string_view type) {
  return std::ranges::any_of(pod.conditions(), [&](const v1::Condition& c) { return c.type() == type && c.status() == "True"; });
}

bool is_init(const Container& container) { return container.kind() == Container::INIT || container.kind() == Container::SIDECAR; }

std::string end_text(const ContainerState& state) {
  if (!state.reason().empty()) return state.reason();
  return state.signal() != 0 ? fmt::format("Signal:{}", state.signal()) : fmt::format("ExitCode:{}", state.exit_code());
}

// What the init containers say: "" when they are through with their work.
std::string init_text(const v1::Pod& pod) {
  const auto total = std::ranges::count_if(pod.containers(), is_init);
  int done = 0;
  for (const auto& container : pod.containers()) {
    if (!is_init(container)) continue;
    const auto& state = container.state();
    const bool ended_well = state.kind() == ContainerState::TERMINATED && state.exit_code() == 0;
    const bool serves = container.kind() == Container::SIDECAR && container.started();
    if (ended_well || serves) {
      ++done;
      continue;
    }
    // A pod that nobody has looked at yet has no statuses at all; then its phase says enough.
    if (!container.has_status()) return {};
    if (state.kind() == ContainerState::TERMINATED) return "Init:" + end_text(state);
    if (state.kind() == ContainerState::WAITING && !state.reason().empty() && state.reason() != "PodInitializing")
      return "Init:" + state.reason();
    return fmt::format("Init:{}/{}", done, total);
  }
  return {};
}

std::string containers_text(const v1::Pod& pod, std::string reason) {
  bool has_running = false;
  for (int i = pod.containers_size(); i-- > 0;) {  // the first container's word counts most
    const auto& container = pod.containers(i);
    if (container.kind() != Container::REGULAR || !container.has_status()) continue;
    const auto& state = container.state();
    if (state.kind() == ContainerState::WAITING && !state.reason().empty())
      reason = state.reason();
    else if (state.kind() == ContainerState::TERMINATED)
      reason = end_text(state);
    else if (state.kind() == ContainerState::RUNNING && container.ready())
      has_running = true;
  }
  if (reason == "Completed" && has_running) return has_condition(pod, "Ready") ? "Running" : "NotReady";
  return reason;
}

bool counts_for_ready(const Container& container) {
  return container.kind() == Container::REGULAR || container.kind() == Container::SIDECAR;
}

}  // namespace

std::string safe(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = ' ';
  return out;
}

std::string full_name(const v1::Pod& pod) { return pod.namespace_() + "/" + pod.name(); }
bool is_ready(const v1::Pod& pod) { return has_condition(pod, "Ready"); }
bool is_terminal(const v1::Pod& pod) { return pod.phase() == "Succeeded" || pod.phase() == "Failed"; }

std::string ready_text(const v1::Pod& pod) {
  int ready = 0, total = 0;
  for (const auto& container : pod.containers()) {
    if (!counts_for_ready(container)) continue;
    ++total;
    if (container.ready() && container.state().kind() == ContainerState::RUNNING) ++ready;
  }
  return fmt::format("{}/{}", ready, total);
}

std::string status_text(const v1::Pod& pod) {
  std::string reason = pod.reason().empty() ? pod.phase() : pod.reason();
  const auto init = init_text(pod);
  if (!init.empty() && !has_condition(pod, "Initialized"))
    reason = init;
  else
    reason = containers_text(pod, reason);
  if (pod.deleted_at() != 0) {
    if (pod.reason() == "NodeLost") return "Unknown";
    if (!is_terminal(pod)) return "Terminating";
  }
  return reason;
}

std::string restarts_text(const v1::Pod& pod, Time now) {
  const bool initializing = !init_text(pod).empty() && !has_condition(pod, "Initialized");
  int64_t restarts = 0, last = 0;
  for (const auto& container : pod.containers()) {
    // As long as init containers work theirs count, afterwards only the sidecars' and the regular ones'.
    if (initializing ? !is_init(container) : !counts_for_ready(container)) continue;
    restarts += container.restart_count();
    if (container.last_state().kind() == ContainerState::TERMINATED) last = std::max(last, container.last_state().finished_at());
  }
  if (restarts == 0 || last == 0) return fmt::format("{}", restarts);
  return fmt::format("{} ({} ago)", restarts, age(last, now));
}

Tone status_tone(const std::string& status) {
  if (status == "Running") return Tone::kGood;
  if (status == "Completed" || status == "Succeeded" || status == "Terminating") return Tone::kDim;
  if (status == "Pending" || status == "ContainerCreating" || status == "PodInitializing" || status == "NotReady") return Tone::kWarning;
  if (status.starts_with("Init:") && status.find('/') != std::string::npos) return Tone::kWarning;
  return Tone::kBad;
}

std::string state_text(const ContainerState& state, Time now) {
  switch (state.kind()) {
    case ContainerState::WAITING:
      return safe(state.message().empty() ? fmt::format("Waiting: {}", state.reason())
                                          : fmt::format("Waiting: {}: {}", state.reason(), state.message()));
    case ContainerState::RUNNING: return fmt::format("Running for {}", age(state.started_at(), now));
    case ContainerState::TERMINATED: {
      std::string text = fmt::format("Terminated: {}, exit code {}", state.reason().empty() ? "ended" : state.reason(), state.exit_code());
      if (state.signal() != 0) text += fmt::format(", signal {}", state.signal());
      if (state.finished_at() != 0) text += fmt::format(", {} ago", age(state.finished_at(), now));
      if (!state.message().empty()) text += ": " + state.message();
      return safe(text);
    }
    default: return "Unknown";
  }
}

std::string ports_text(const v1::Pod& pod) {
  std::string text;
  for (const auto& container : pod.containers())
    for (const auto& port : container.ports()) {
      if (!text.empty()) text += ", ";
      text += fmt::format("{}/{}", port.port(), port.protocol().empty() ? "TCP" : port.protocol());
      if (!port.name().empty()) text += fmt::format(" ({})", port.name());
      if (port.host_port() != 0) text += fmt::format(" on the node's port {}", port.host_port());
    }
  return text;
}

Coverage coverage(const v1::Pod& pod) {
  if (pod.ebpf().policy() == "off" || is_terminal(pod)) return Coverage::kNotWanted;
  if (!pod.ebpf().has_report() || pod.ebpf().hooks().empty()) return Coverage::kNotEffective;
  return std::ranges::all_of(pod.ebpf().hooks(), &v1::Hook::effective) ? Coverage::kEffective : Coverage::kNotEffective;
}

Cell ebpf_cell(const v1::Pod& pod) {
  const auto& ebpf = pod.ebpf();
  if (ebpf.policy() == "off") return {"off", Tone::kDim};
  if (!ebpf.has_report()) return is_terminal(pod) ? Cell{"-", Tone::kDim} : Cell{"none", Tone::kWarning};
  const auto effective = std::ranges::count_if(ebpf.hooks(), &v1::Hook::effective);
  const bool all = effective == ebpf.hooks_size() && effective > 0;
  return {fmt::format("{}/{}", effective, ebpf.hooks_size()), is_terminal(pod) ? Tone::kDim : all ? Tone::kGood : Tone::kBad};
}

std::vector<std::string> pod_headers(bool wide, bool with_namespace) {
  std::vector<std::string> headers{"NAME", "READY", "STATUS", "RESTARTS", "AGE"};
  if (with_namespace) headers.insert(headers.begin(), "NAMESPACE");
  if (wide) headers.insert(headers.end(), {"IP", "NODE", "EBPF"});
  return headers;
}

std::vector<Cell> pod_row(const v1::Pod& pod, bool wide, bool with_namespace, Time now) {
  const auto status = status_text(pod);
  std::vector<Cell> row{pod.name(), ready_text(pod), {status, status_tone(status)}, restarts_text(pod, now), age(pod.created_at(), now)};
  if (with_namespace) row.insert(row.begin(), pod.namespace_());
  if (wide) row.insert(row.end(), {Cell(pod.ips().empty() ? std::string() : pod.ips(0)), Cell(pod.node_name()), ebpf_cell(pod)});
  return row;
}

}  // namespace pintle::ctl
