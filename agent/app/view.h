// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The agent as the control service sees it (ports::AgentView): snapshots of the loop, the API's objects, the eBPF counters.
// Thread rule: any thread. Lifetime: everything in Inputs outlives it.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>

#include "app/applier.h"
#include "app/event_ring.h"
#include "app/observers.h"
#include "base/time.h"
#include "config/config.h"
#include "observe/runtime_observer.h"
#include "ports/agent_view.h"
#include "ports/container_runtime.h"
#include "ports/program_attacher.h"
#include "reconcile/loop_thread.h"

namespace pintle::app {

class View final : public ports::AgentView {
 public:
  struct Inputs {
    const config::AgentConfig& config;
    const Clock& clock;
    reconcile::LoopThread& loop;
    EventRing& events;
    ports::ProgramAttacher& attacher;
    ports::ContainerRuntime* runtime;  // null: it is not ours to drive
    kube::ApiConnection& control_api;
    std::function<std::optional<model::Node>()> node;
    std::string kubeconfig, cgroup_layout;
    ports::PolicyView* policies = nullptr;
    ports::ProgramInventory* inventory = nullptr;
    ports::PodProgramView* pod_programs = nullptr;
    std::function<std::optional<ports::DoctorCheck>()> nri = {};  // nullopt: not in this mode
  };
  explicit View(Inputs inputs);

  // --- fed by the agent ---
  void set_problem(const std::string& source, const std::string& origin, const std::string& error, Time now);  // empty error clears
  // What the programs of all pods were last told to be, without a look at the kernel.
  [[nodiscard]] std::vector<model::AttachReport> program_reports();  // of pods that have not ended
  void set_health(const observe::RuntimeHealth& health);
  // A part that only the wiring knows of.
  void set_component(const ports::ComponentState& component);
  [[nodiscard]] Observers<model::ProgramEvent>& ebpf_events() { return ebpf_observers_; }
  [[nodiscard]] const std::string& node_name() const { return in_.config.pintle.node_name; }

  // --- ports::AgentView ---
  [[nodiscard]] ports::AgentStatus status() override;
  [[nodiscard]] std::vector<ports::PodRecord> list_pods() override;
  [[nodiscard]] std::unique_ptr<ports::Subscription> watch_pods(std::function<void(const ports::PodRecord&)> observer) override;
  [[nodiscard]] std::vector<model::Event> recent_events() override;
  [[nodiscard]] Result<model::Node> node() override;
  [[nodiscard]] Result<ports::ApplyReply> apply(const std::string& manifest, const std::string& origin, bool dry_run,
                                                std::stop_token stop) override;
  [[nodiscard]] Status delete_pod(const std::string& namespace_, const std::string& name, std::optional<int64_t> grace_seconds,
                                  std::stop_token stop) override;
  [[nodiscard]] Result<std::string> list_objects_json(const std::string& kind, const std::string& namespace_,
                                                      std::stop_token stop) override;
  [[nodiscard]] std::vector<model::FeatureProbe> ebpf_features() override;
  [[nodiscard]] std::unique_ptr<ports::Subscription> watch_ebpf(std::function<void(const model::ProgramEvent&)> observer) override;
  [[nodiscard]] uint64_t ebpf_events_lost() override;
  [[nodiscard]] std::vector<ports::DoctorCheck> doctor(std::stop_token stop) override;
  [[nodiscard]] ports::PolicyView* policies() override { return in_.policies; }
  [[nodiscard]] ports::ProgramInventory* inventory() override { return in_.inventory; }
  [[nodiscard]] ports::PodProgramView* pod_programs() override { return in_.pod_programs; }
  [[nodiscard]] model::ProgramSetStatus program_set() override { return in_.attacher.program_set(); }

 private:
  [[nodiscard]] bool standalone() const { return in_.config.pintle.mode == config::Mode::kStandalone; }
  [[nodiscard]] std::vector<ports::PodRecord> snapshot();
  void add_live_links(ports::PodRecord& record);

  const Inputs in_;
  const Time started_at_;
  Applier applier_;
  Observers<model::ProgramEvent> ebpf_observers_;
  Mutex mu_;
  std::map<std::string, ports::SourceProblem> problems_ PINTLE_GUARDED_BY(mu_);  // by origin
  observe::RuntimeHealth health_ PINTLE_GUARDED_BY(mu_);
  std::map<std::string, ports::ComponentState> components_ PINTLE_GUARDED_BY(mu_);  // by name
};

}  // namespace pintle::app
