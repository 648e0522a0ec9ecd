// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The heart: decide() looks at one pod (desired, observed, memory) at `now` and says what to do next, what to publish and
// when to look again. PURE: no I/O, no clock, no thread, no exception; the same input gives the same output.
// The loop (reconcile) calls it after every change, runs the plan's actions concurrently, waits for all of them, hands each
// outcome to record(), and calls decide() again. While a plan runs, decide() is called for its status only; a decision whose
// `cancel_running` is set makes the loop trigger the stop tokens of the running plan.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lifecycle/action.h"
#include "lifecycle/memory.h"
#include "model/node.h"
#include "model/runtime.h"
#include "model/status.h"

namespace pintle::lifecycle {

// What a pod's rules need to know of the node. One immutable snapshot, shared by all pods.
struct NodeFacts {
  std::string node_name;
  bool owns_pods = true;  // false: beside a kubelet, lifecycle/companion.h decides
  std::vector<std::string> host_ips;
  std::string runtime_name = "containerd";  // prefix of container ids in status
  bool runtime_ready = false;               // row 5.6: nothing is asked of a runtime that is down
  bool network_ready = false;               // pods of their own network wait, hostNetwork pods start (row 5.6)
  std::string network_message;
  model::EbpfPolicy ebpf_default = model::EbpfPolicy::kBestEffort;
  model::ResourceList allocatable;
  model::StringMap labels;                                   // of the node, for nodeSelector (row 8.7)
  std::vector<model::Taint> taints;                          // NoExecute ones are looked at in admission (row 8.8)
  Duration max_restart_backoff = std::chrono::seconds(300);  // row 10.2
  std::string log_root = "/var/log/pods";
  std::string seccomp_root;                     // localhost profiles are relative to it
  int64_t memory_capacity_bytes = 0;            // of the node, for OOM scores (row 15.15)
  bool unified_cgroups = false;                 // limits are cgroup v2's (rows 15.11, 15.12)
  std::vector<std::string> extra_masked_paths;  // the cpuN/thermal_throttle folders this machine has (row 16.10)
  // DNS, rows 18.x
  bool has_cluster = true;  // false: a machine alone, where pods that ask for the cluster's DNS get the host's, and need no warning
  std::vector<std::string> cluster_dns;
  std::string cluster_domain = "cluster.local";
  model::ResolvedDns host_dns;
};

struct PodView {
  const model::Pod* desired = nullptr;           // never null; of a pod gone from its source, the last that was known
  bool removed = false;                          // gone from every source: the force-delete path (row 3.5)
  const model::ObservedPod* observed = nullptr;  // null: the runtime has not been read yet for this pod
  const PodMemory* memory = nullptr;
  const NodeFacts* node = nullptr;
  bool plan_running = false;
  // Other pods of this node that were admitted and are not terminal: their requests count in admission (row 8.6).
  const model::ResourceList* requested_by_others = nullptr;
  int pods_on_node = 0;
};

struct Decision {
  std::vector<Action> plan;      // run concurrently; the next decision follows when all are done. Empty while plan_running
  bool cancel_running = false;   // rows 4.4
  std::vector<ProbeRun> probes;  // due now
  model::PodStatus status;
  std::vector<model::Event> events;
  std::optional<Time> wake_at;  // look again no later than this
  PodMemory memory;             // replaces the one in the view
  bool finished = false;        // every resource of the pod is released and the status is final: it may be deleted from the API
  std::string explanation;      // one line: what is being waited for or done, for people
};

[[nodiscard]] Decision decide(const PodView& view, Time now);

// Takes in what became of an action or a probe.
void record(PodMemory& memory, const Action& action, const ActionOutcome& outcome, Time now);
void record(PodMemory& memory, const ProbeDone& done, const model::Pod& pod, Time now);

// The loop's hints: a ConfigMap, Secret, label or annotation that volumes show has changed; a link was found dead.
// The next decision repeats MountVolumes or AttachPrograms (both idempotent) without taking anything back.
void request_volume_refresh(PodMemory& memory);
void request_programs_check(PodMemory& memory);

}  // namespace pintle::lifecycle
