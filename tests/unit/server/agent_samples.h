// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A folder for a socket, and a pod as an agent would know it, for tests of the control service and its client.
#pragma once

#include <memory>
#include <string>

#include "fakes/store/temp_dir.h"
#include "ports/agent_view.h"

namespace pintle::test {

using fakes::TempDir;

inline constexpr Time kNow{std::chrono::seconds{1'700'000'000}};  // 2023-11-14T22:13:20Z

// default/web: one running, ready container with all hooks attached, made five minutes before kNow.
inline ports::PodRecord running_pod(const std::string& name = "web", const std::string& namespace_ = "default") {
  model::Pod pod;
  pod.metadata.name = name;
  pod.metadata.namespace_ = namespace_;
  pod.metadata.uid = "uid-" + namespace_ + "-" + name;
  pod.metadata.labels = {{"app", name}};
  pod.metadata.creation_timestamp = kNow - std::chrono::minutes(5);
  pod.spec.node_name = "node1";
  model::Container container;
  container.name = "main";
  container.image = "busybox:1.36";
  container.ports = {{.name = "http", .container_port = 80}};
  pod.spec.containers = {container};

  ports::PodRecord record;
  record.source = "api";
  record.status.phase = model::Phase::kRunning;
  record.status.start_time = kNow - std::chrono::minutes(5);
  record.status.host_ip = "10.0.0.1";
  record.status.pod_ips = {"10.88.0.7"};
  record.status.qos_class = model::QosClass::kBestEffort;
  record.status.conditions = {{"Initialized", model::ConditionStatus::kTrue, "", "", kNow, 0},
                              {"Ready", model::ConditionStatus::kTrue, "", "", kNow, 0}};
  model::ContainerStatus status;
  status.name = "main";
  status.image = container.image;
  status.container_id = "containerd://abc";
  status.ready = true;
  status.started = true;
  status.state = model::StateRunning{kNow - std::chrono::minutes(4)};
  record.status.container_statuses = {status};
  model::AttachReport report;
  report.uid = pod.uid();
  report.cgroup_id = CgroupId(4711);
  report.cgroup_path = "/kubepods/besteffort/pod" + pod.metadata.uid;
  uint32_t link = 10;
  for (const auto hook : model::kDefaultHooks)
    report.hooks.push_back({.hook = hook,
                            .state = model::HookState::kAttached,
                            .link_id = LinkId(link++),
                            .program_tag = "0123456789abcdef",
                            .program_id = 7});
  record.programs = report;
  record.counters =
      model::PodCounters{.rx_bytes = 2048, .rx_packets = 4, .tx_bytes = 100, .tx_packets = 2, .connects = 3, .execs = 1, .exits = 0};
  record.timeline = {{kNow, "admitted", std::nullopt, false},
                     {kNow + std::chrono::milliseconds(120), "image 'busybox:1.36' pulled", std::chrono::milliseconds(100), false}};
  record.pod = std::make_shared<model::Pod>(std::move(pod));
  return record;
}

// default/bad: its container crashes over and over, and one hook was refused.
inline ports::PodRecord crashing_pod() {
  auto record = running_pod("bad");
  auto& status = record.status.container_statuses[0];
  status.ready = false;
  status.restart_count = 3;
  status.state = model::StateWaiting{"CrashLoopBackOff", "back-off 40s restarting failed container"};
  status.last_state = model::StateTerminated{
      .exit_code = 2, .reason = "Error", .started_at = kNow - std::chrono::minutes(2), .finished_at = kNow - std::chrono::seconds(90)};
  record.status.conditions[1] = {"Ready",
                                 model::ConditionStatus::kFalse,
                                 "ContainersNotReady",
                                 "containers with unready status: [main]",
                                 kNow - std::chrono::minutes(2),
                                 0};
  auto& hook = record.programs->hooks[1];
  hook.state = model::HookState::kRefused;
  hook.link_id = LinkId();
  hook.sys_errno = 1;
  hook.error = "attach 'egress': operation not permitted";
  record.explanation = "container 'main' is restarted in 12 s";
  return record;
}

}  // namespace pintle::test
