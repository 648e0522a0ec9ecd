// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/nri_side.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/log.h"

namespace pintle::app {
namespace {

using config::NriMode;

constexpr std::string_view kComponent = "nri";

bool adopted(ports::ProgramAttacher& attacher, const PodUid& uid) {
  const auto report = attacher.inspect(uid);
  return report && report->effective() &&
         std::ranges::any_of(report->hooks, [](const auto& hook) { return hook.state == model::HookState::kAdopted; });
}

PodGate::Parts gate_parts(const config::AgentConfig& config, const NriSide::Parts& parts) {
  return {.clock = parts.clock,
          .loop = parts.loop,
          .events = parts.events,
          .note = [&companion = parts.companion](const ports::PodPtr& pod) { companion.note(pod); },
          .withdraw = [&companion = parts.companion](const PodUid& uid) { companion.withdraw(uid); },
          .has_cgroup = [&companion = parts.companion](const PodUid& uid) { return companion.has_cgroup(uid); },
          .policies_known = [&policies = parts.policies] { return policies.synced(); },
          .still_in_force = [&attacher = parts.attacher](const PodUid& uid) { return adopted(attacher, uid); },
          .policy = config.pintle.ebpf.policy,
          .fail_closed = config.pintle.nri.fail_closed};
}

}  // namespace

NriSide::NriSide(const config::AgentConfig& config, Parts parts)
    : options_(config.pintle.nri),
      parts_(std::move(parts)),
      gate_(gate_parts(config, parts_)),
      plugin_({.socket = options_.socket,
               .session = {.budget = options_.timeout},
               .on_change =
                   [this](const nri::PluginState& state) {
                     const auto told = component(state);
                     if (told.ok)
                       PINTLE_LOG(kInfo, "nri", "{}", told.detail);
                     else
                       PINTLE_LOG(kWarning, "nri", "{}", told.detail);
                     parts_.told(told);
                   }},
              gate_, parts_.clock) {}

Status NriSide::start() {
  if (options_.mode == NriMode::kOff) return {};
  parts_.told(component({.detail = fmt::format("connecting to '{}'", options_.socket)}));
  return plugin_.start();
}

void NriSide::stop() { plugin_.stop(); }

ports::HookCounts NriSide::counts() const {
  auto counts = plugin_.counts();
  counts.late = gate_.late();
  return counts;
}

// A runtime that has no NRI is no fault of a part of ours, unless it was asked for or was there before.
ports::ComponentState NriSide::component(const nri::PluginState& state) const {
  const bool wanted = options_.mode == NriMode::kRequired || state.was_connected;
  return {std::string(kComponent), state.connected || !wanted,
          state.connected ? state.detail : fmt::format("no container waits for its programs: {}", state.detail)};
}

ports::DoctorCheck NriSide::check() const {
  using State = ports::DoctorCheck::State;
  ports::DoctorCheck check{
      .name = "NRI",
      .why =
          "through it the runtime holds each container back until its pod's programs are in force; without it they "
          "are attached when the pod's cgroup is noticed, which is a race",
      .fix = fmt::format("containerd 2 has it on; in containerd 1.7 set disable = false under "
                         "[plugins.\"io.containerd.nri.v1.nri\"], in CRI-O enable_nri = true; mount '{}' into the agent's "
                         "container (docs/companion.md)",
                         options_.socket.substr(0, options_.socket.rfind('/')))};
  if (options_.mode == NriMode::kOff) {
    check.detail = "switched off (pintle.companion.nri.mode)";
    return check;
  }
  const auto state = plugin_.state();
  check.detail = state.detail;
  if (!state.connected) check.state = component(state).ok ? State::kWarning : State::kFailed;
  return check;
}

}  // namespace pintle::app
