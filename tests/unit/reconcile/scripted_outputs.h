// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The loop's outputs as a record of what was asked for; the test gives the answers. Thread rule: one thread.
#pragma once

#include <algorithm>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "model/defaults.h"
#include "reconcile/pod_loop.h"

namespace pintle::reconcile::test {

struct Asked {
  PodUid uid;
  ActionTicket ticket;
  lifecycle::Action action;
  ActionContext context;
  std::stop_token stop;
};

class ScriptedOutputs final : public ActionRunner,
                              public ProbeRunner,
                              public StatusSink,
                              public MirrorSink,
                              public ports::EventSink,
                              public PodWatcher {
 public:
  std::vector<Asked> asked;  // not answered yet
  std::vector<StatusUpdate> statuses;
  std::vector<PodUid> forgotten;
  std::vector<std::string> told_mirrors;
  std::vector<ports::PodRecord> changes;

  void start(const PodUid& uid, ActionTicket ticket, const lifecycle::Action& action, const ActionContext& context,
             std::stop_token stop) override {
    asked.push_back({uid, ticket, action, context, std::move(stop)});
  }
  void start(const PodUid&, const lifecycle::ProbeRun&, const ActionContext&, std::stop_token) override {}
  void publish(StatusUpdate update) override { statuses.push_back(std::move(update)); }
  void forget(const PodUid& uid) override { forgotten.push_back(uid); }
  void static_seen(const PodPtr& pod) override { told_mirrors.push_back("static " + pod->metadata.uid); }
  void mirror_seen(const PodPtr& mirror) override { told_mirrors.push_back("mirror " + mirror->metadata.uid); }
  void mirror_gone(const PodUid& uid) override { told_mirrors.push_back("gone " + uid.value()); }
  void sources_ready() override { told_mirrors.push_back("ready"); }
  void record(const model::Event&) override {}
  [[nodiscard]] bool wants_changes() const override { return true; }
  void pod_changed(const ports::PodRecord& record) override { changes.push_back(record); }

  [[nodiscard]] PodLoopOutputs outputs(std::string owner = {}) { return {*this, *this, *this, *this, this, std::move(owner), this}; }
  // "uid: description" of everything that waits for an answer.
  [[nodiscard]] std::vector<std::string> waiting() const {
    std::vector<std::string> out;
    for (const auto& one : asked) out.push_back(one.uid.value() + ": " + lifecycle::describe(one.action));
    return out;
  }
  [[nodiscard]] bool waits_for(const std::string& part) const {
    const auto all = waiting();
    return std::ranges::any_of(all, [&](const std::string& text) { return text.find(part) != std::string::npos; });
  }
};

inline PodPtr make_pod(const std::string& uid, const std::string& name = "web") {
  auto pod = std::make_shared<model::Pod>();
  pod->metadata.name = name;
  pod->metadata.uid = uid;
  pod->metadata.generation = 1;
  model::Container container;
  container.name = "main";
  container.image = "busybox:1";
  pod->spec.containers.push_back(container);
  model::apply_defaults(*pod);
  return pod;
}

inline PodPtr deleted(const PodPtr& pod, int64_t grace, Time now) {
  auto copy = std::make_shared<model::Pod>(*pod);
  copy->metadata.deletion_timestamp = now + std::chrono::seconds(grace);
  copy->metadata.deletion_grace_period_seconds = grace;
  return copy;
}

inline std::shared_ptr<const lifecycle::NodeFacts> ready_node() {
  auto node = std::make_shared<lifecycle::NodeFacts>();
  node->node_name = "node";
  node->host_ips = {"192.0.2.1"};
  node->runtime_ready = node->network_ready = true;
  return node;
}

inline model::ObservedSandbox sandbox(const std::string& uid, const std::string& name = "web") {
  model::ObservedSandbox out;
  out.id = SandboxId("sb-" + uid);
  out.uid = PodUid(uid);
  out.name = name;
  out.namespace_ = "default";
  out.state = model::SandboxState::kReady;
  out.ips = {"10.0.0.2"};
  return out;
}

inline model::ObservedContainer running(const std::string& uid, const std::string& id = "ct-1") {
  model::ObservedContainer out;
  out.id = ContainerId(id);
  out.sandbox_id = SandboxId("sb-" + uid);
  out.uid = PodUid(uid);
  out.name = "main";
  out.pod_name = "web";
  out.pod_namespace = "default";
  out.state = model::RunState::kRunning;
  out.started_at = Time(std::chrono::seconds(1000));
  out.detailed = true;
  return out;
}

inline model::ObservedPod seen_running(const std::string& uid, const std::string& id = "ct-1") {
  return {PodUid(uid), {sandbox(uid)}, {running(uid, id)}};
}

}  // namespace pintle::reconcile::test
