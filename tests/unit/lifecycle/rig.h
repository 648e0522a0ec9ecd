// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One pod under a virtual clock: decides, carries plans out on values (no ports, no loop), and lets tests interfere between
// the two. A plan stays pending until finish() is called, so that a test can look at the moment in between.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lifecycle/decide.h"

namespace pintle::lifecycle::test {

using namespace std::chrono_literals;

inline const Time kStart = Time(std::chrono::seconds(1'800'000'000));

[[nodiscard]] model::Container container(std::string name);
[[nodiscard]] model::Pod pod(std::vector<model::Container> containers = {container("web")});
[[nodiscard]] NodeFacts node();

class Rig {
 public:
  explicit Rig(model::Pod desired = pod());

  model::Pod desired;
  NodeFacts facts = node();
  std::optional<model::ObservedPod> observed;  // nullopt: not read yet
  model::ObservedPod runtime;                  // what the runtime really holds
  PodMemory memory;
  Time now = kStart;
  bool removed = false;
  bool image_is_pulled = false;
  bool hooks_refused = false;
  std::vector<model::PodProgramStatus> programs;  // of operators, as the next attach reports them
  std::vector<std::string> notes;                 // likewise
  model::ResourceList others;
  int pods_on_node = 0;
  Decision last;
  std::vector<Action> running;   // the pending plan
  std::vector<std::string> log;  // describe() of every action carried out
  std::vector<model::Event> events;
  // Returns an error to fail an action with; asked before it is carried out.
  std::function<std::optional<ActionOutcome>(const Action&)> fault;

  // One decision; takes its plan as pending and hands probes to `probe`.
  const Decision& decide();
  // Carries the pending plan out, recording each outcome.
  void finish();
  // Decides and finishes until nothing is planned.
  const Decision& settle(int limit = 60);
  void advance(Duration by) { now += by; }
  // Advances to wake_at and settles; false when there is none.
  bool wake();
  // A container of the runtime ends.
  void exit(const std::string& name, int code, std::string reason = {});
  void probe(const std::string& name, ProbeKind kind, ProbeResult result, const std::string& output = "said no");
  // As after a restart of the agent: memory is lost, the published status is what the source has.
  void restart_agent();

  [[nodiscard]] const model::PodStatus& status() const { return last.status; }
  [[nodiscard]] const model::ContainerStatus& shown(const std::string& name) const;
  [[nodiscard]] const model::Condition& condition(std::string_view type) const;
  [[nodiscard]] std::vector<std::string> told() const;  // "Normal Started: Container started"
  [[nodiscard]] bool was_told(const std::string& text) const;
  [[nodiscard]] int count(const std::string& log_prefix) const;
  [[nodiscard]] int index(const std::string& log_prefix) const;  // of the first; -1
  model::ObservedContainer* find(const std::string& name);       // newest in the runtime

 private:
  ActionOutcome act(const Action& action);
  int next_id_ = 1;
};

}  // namespace pintle::lifecycle::test
