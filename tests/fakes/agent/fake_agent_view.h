// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// An agent for the tests of what asks it: keeps pods, events and objects, tells observers of each change, and does what it is
// told (apply makes pods, delete_pod removes them) at once or when the test lets it. Faults through FaultPlan.
// Also a LogReader over texts held in memory, whose followers end when the container has.
// Thread rule: any thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "fakes/fault_plan.h"
#include "ports/agent_view.h"
#include "ports/log_reader.h"

namespace pintle::fakes {

class FakeAgentView : public ports::AgentView {
 public:
  // --- what the test does
  void put(const ports::PodRecord& record);     // added or changed; observers are told
  void remove(const std::string& full_name);    // observers get its last word
  void emit(const model::ProgramEvent& event);  // to watchers of eBPF
  void set_status(ports::AgentStatus status) {
    with_lock([&] { status_ = std::move(status); });
  }
  void set_node(model::Node node) {
    with_lock([&] { node_ = std::move(node); });
  }
  void add_event(model::Event event) {
    with_lock([&] { events_.push_back(std::move(event)); });
  }
  void add_feature(model::FeatureProbe probe) {
    with_lock([&] { features_.push_back(std::move(probe)); });
  }
  void add_check(ports::DoctorCheck check) {
    with_lock([&] { checks_.push_back(std::move(check)); });
  }
  void set_program_set(model::ProgramSetStatus set) {
    with_lock([&] { program_set_ = std::move(set); });
  }
  void set_events_lost(uint64_t lost) {
    with_lock([&] { events_lost_ = lost; });
  }
  // Before the agent is asked; they outlive it. Null, as at first: this agent has none.
  void set_policies(ports::PolicyView* policies) { policies_ = policies; }
  void set_pod_programs(ports::PodProgramView* programs) { pod_programs_ = programs; }
  void set_inventory(ports::ProgramInventory* inventory) { inventory_ = inventory; }
  void set_objects(const std::string& kind, std::string json) {
    with_lock([&] { objects_[kind] = std::move(json); });
  }
  void on_apply(std::function<Result<ports::ApplyReply>(const std::string& manifest, bool dry_run)> act) {
    with_lock([&] { on_apply_ = std::move(act); });
  }
  // Called after an accepted delete; without one the pod is removed at once.
  void on_delete(std::function<void(const std::string& full_name)> act) {
    with_lock([&] { on_delete_ = std::move(act); });
  }
  template <typename Act>
  auto with_faults(Act act) {  // FaultPlan is not thread-safe
    const std::scoped_lock lock(mu_);
    return act(faults_);
  }
  void wait_for_pod_watchers(size_t count);  // until exactly so many watch
  void wait_for_ebpf_watchers(size_t count);

  // --- the port
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
  [[nodiscard]] uint64_t ebpf_events_lost() override {
    const std::scoped_lock lock(mu_);
    return events_lost_;
  }
  [[nodiscard]] ports::PolicyView* policies() override { return policies_; }
  [[nodiscard]] ports::ProgramInventory* inventory() override { return inventory_; }
  [[nodiscard]] ports::PodProgramView* pod_programs() override { return pod_programs_; }
  [[nodiscard]] model::ProgramSetStatus program_set() override {
    const std::scoped_lock lock(mu_);
    return program_set_;
  }
  [[nodiscard]] std::vector<ports::DoctorCheck> doctor(std::stop_token stop) override;

 private:
  class Unsubscribe;
  template <typename Act>
  void with_lock(Act act) {
    const std::scoped_lock lock(mu_);
    act();
  }
  template <typename Observer>
  std::unique_ptr<ports::Subscription> subscribe(std::map<int, Observer>& observers, Observer observer);

  // Recursive: an observer or an act of the test may ask the agent again.
  std::recursive_mutex mu_;
  std::condition_variable_any watchers_changed_;
  FaultPlan faults_;
  ports::AgentStatus status_;
  model::Node node_;
  std::map<std::string, ports::PodRecord> pods_;  // by full name
  std::vector<model::Event> events_;
  std::vector<model::FeatureProbe> features_;
  std::vector<ports::DoctorCheck> checks_;
  std::map<std::string, std::string> objects_;
  std::function<Result<ports::ApplyReply>(const std::string&, bool)> on_apply_;
  std::function<void(const std::string&)> on_delete_;
  std::map<int, std::function<void(const ports::PodRecord&)>> pod_observers_;
  std::map<int, std::function<void(const model::ProgramEvent&)>> ebpf_observers_;
  int next_observer_ = 1;
  uint64_t events_lost_ = 0;
  model::ProgramSetStatus program_set_;
  ports::PolicyView* policies_ = nullptr;
  ports::ProgramInventory* inventory_ = nullptr;
  ports::PodProgramView* pod_programs_ = nullptr;
};

class FakeLogReader final : public ports::LogReader {
 public:
  // A container's log of one attempt, all of it.
  void set_log(const std::string& uid, const std::string& container, int32_t attempt, std::string text) {
    const std::scoped_lock lock(mu_);
    logs_[{uid, container, attempt}] = std::move(text);
  }
  [[nodiscard]] ports::LogOptions last_options() {
    const std::scoped_lock lock(mu_);
    return last_options_;
  }
  [[nodiscard]] Result<std::unique_ptr<ports::LogStream>> open(const ports::LogTarget& target, const ports::LogOptions& options) override;

 private:
  std::mutex mu_;
  std::map<std::tuple<std::string, std::string, int32_t>, std::string> logs_;
  ports::LogOptions last_options_;
};

}  // namespace pintle::fakes
