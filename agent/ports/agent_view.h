// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam between the control service and the running agent: what it can be asked and told. Implemented by agent/app.
// Thread rule: any thread; calls return snapshots and never wait for a pod's work. Observers are called on threads of the
// agent and must not block.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/ebpf.h"
#include "model/node.h"
#include "model/status.h"
#include "ports/pod_programs.h"
#include "ports/policy_view.h"
#include "ports/program_inventory.h"

namespace pintle::ports {

// One step of a pod's history as told to people: "image 'x' pulled", took 1.2 s.
struct TimelineEntry {
  Time time;
  std::string text;
  std::optional<Duration> took;
  bool failed = false;
};

struct PodRecord {
  std::shared_ptr<const model::Pod> pod;  // desired
  std::string source;                     // "api", "file"
  model::PodStatus status;                // as last decided here, which may be ahead of the API
  std::optional<model::AttachReport> programs;
  model::EbpfPolicy policy = model::EbpfPolicy::kBestEffort;
  std::optional<model::PodCounters> counters;
  std::string explanation;              // what is waited for or done now
  std::vector<TimelineEntry> timeline;  // oldest first, bounded
  bool removed = false;                 // on its way out of the table: a watcher's last word of it
};

struct SourceProblem {
  std::string source, origin, error;
  Time since;
};
struct ComponentState {  // runtime, network, API, ebpf, sources …
  std::string name;
  bool ok = false;
  std::string detail;
};
struct AgentStatus {
  std::string version, mode, node_name, kubeconfig, api_endpoint, runtime_endpoint;
  Time started_at;
  int64_t pid = 0, rss_bytes = 0, anon_bytes = 0;
  int pods = 0, running_containers = 0;
  Duration loop_latency{};  // how long the loop took to answer this very question
  std::vector<ComponentState> components;
  std::vector<SourceProblem> problems;
  std::vector<std::string> warnings;  // of the configuration
};

struct DoctorCheck {
  enum class State { kOk, kWarning, kFailed };
  std::string name, detail, why, fix;  // why it matters, how to mend it
  State state = State::kOk;
};

struct AppliedObject {
  std::string kind, namespace_, name, action;  // created | configured | unchanged | would be created …
};
struct ApplyReply {
  std::vector<AppliedObject> objects;
  std::vector<std::string> errors;  // each names file, line, field; the other objects were still applied
};

class Subscription {  // ends the observation when destroyed; no call comes after the destructor has returned
 public:
  virtual ~Subscription() = default;
};

class AgentView {
 public:
  virtual ~AgentView() = default;

  [[nodiscard]] virtual AgentStatus status() = 0;
  [[nodiscard]] virtual std::vector<PodRecord> list_pods() = 0;
  // Called with the record after every visible change.
  [[nodiscard]] virtual std::unique_ptr<Subscription> watch_pods(std::function<void(const PodRecord&)> observer) = 0;
  // The newest events of this node, oldest first. Bounded (the API has them all).
  [[nodiscard]] virtual std::vector<model::Event> recent_events() = 0;
  [[nodiscard]] virtual Result<model::Node> node() = 0;

  // Only where the agent owns an API (standalone); kUnsupported elsewhere, naming what to use instead.
  [[nodiscard]] virtual Result<ApplyReply> apply(const std::string& manifest, const std::string& origin, bool dry_run,
                                                 std::stop_token stop) = 0;
  // Graceful; nullopt: the pod's own period. Works for API pods; a static pod's answer names its file.
  [[nodiscard]] virtual Status delete_pod(const std::string& namespace_, const std::string& name, std::optional<int64_t> grace_seconds,
                                          std::stop_token stop) = 0;
  // Objects as the API has them, JSON, for `get -o json|yaml` of kinds other than pods. kUnsupported without an API.
  [[nodiscard]] virtual Result<std::string> list_objects_json(const std::string& kind, const std::string& namespace_,
                                                              std::stop_token stop) = 0;

  [[nodiscard]] virtual std::vector<model::FeatureProbe> ebpf_features() = 0;
  [[nodiscard]] virtual std::unique_ptr<Subscription> watch_ebpf(std::function<void(const model::ProgramEvent&)> observer) = 0;
  [[nodiscard]] virtual uint64_t ebpf_events_lost() = 0;
  [[nodiscard]] virtual std::vector<DoctorCheck> doctor(std::stop_token stop) = 0;

  // Null where this agent has none; they live as long as the view.
  [[nodiscard]] virtual PolicyView* policies() { return nullptr; }
  [[nodiscard]] virtual ProgramInventory* inventory() { return nullptr; }
  [[nodiscard]] virtual PodProgramView* pod_programs() { return nullptr; }
  // Its name is empty where there is no eBPF.
  [[nodiscard]] virtual model::ProgramSetStatus program_set() { return {}; }
};

}  // namespace pintle::ports
