// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What the core remembers of a pod between decisions. All of it can be lost at any moment: after a restart it is found again
// from the runtime, the pins, the pod's published status and idempotent repetition (principle: crash-only).
// Plain values; only decide() and record() write it.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/ebpf.h"
#include "model/node.h"
#include "model/runtime.h"
#include "model/status.h"

namespace pintle::lifecycle {

enum class PodStage {
  kNew,          // not admitted yet
  kActive,       // to be run
  kTerminating,  // containers are being stopped; never goes back
  kCleanup,      // nothing runs; sandbox, volumes, programs, cgroup are being released
  kFinished,
};

// An exponential wait that is over at `until` (facts section 10).
struct Wait {
  Duration delay{};
  Time until{};
  Time last_failure{};
};

struct ContainerMemory {
  std::optional<model::ImageInfo> image;  // ensured and not yet used by a start: each start asks anew (policy Always)
  std::optional<Wait> image_wait;
  bool image_backoff_told = false;
  // The restart back-off's entry: `delay` is what the next exit has to wait, `last_failure` when it was last raised (row 10.1).
  std::optional<Wait> restart_wait;
  ContainerId last_exit;                        // the exited instance whose restart has raised restart_wait
  ContainerId backoff_told_of;                  // … and whose back-off has been told
  std::optional<Wait> start_wait;               // after a start that failed
  std::string waiting_reason, waiting_message;  // of the last failed step
  std::optional<uint32_t> starting;             // attempt whose StartContainer (with its postStart) is under way
  ContainerId kill_id;                          // a running instance that has to be stopped …
  std::string kill_message;                     // … why (of the Killing event) …
  bool kill_restarts = false;                   // … and started again whatever the restart policy says (row 9.8)
  ContainerId killing_told_of, pre_stop_of;     // Killing was told, preStop was run for this instance
};

struct ProbeMemory {
  ContainerId container;
  bool known = false;  // a threshold has been reached since the container started, or the published value was adopted
  bool healthy = false;
  bool last_success = false;
  int same_results = 0;
  int errors = 0;  // attempts in a row that could not be made (row 12.8)
  Time next{};
  bool running = false;
};

// Of an event that is to be told by the next decision. `container` gives the field path; empty: the pod itself.
struct PendingEvent {
  std::string container;
  model::EventType type = model::EventType::kNormal;
  std::string reason, message;
  Time time{};
};

enum class PlanKind { kNone, kSync, kStop, kCleanup };

struct PodMemory {
  PodStage stage = PodStage::kNew;
  std::string rejected_reason, rejected_message;
  std::optional<Time> start_time;
  std::optional<model::QosClass> qos;
  std::optional<CgroupId> cgroup;
  std::string cgroup_path, cgroup_parent;
  // Beside a kubelet (companion.h): whether it has been looked for since the last hint, and what was seen.
  bool cgroup_known = false, cgroup_populated = false;
  Time cgroup_looked_at{};
  std::optional<model::AttachReport> programs;
  bool programs_tried = false, programs_unsupported = false, programs_check = false;
  int programs_failures = 0;
  Time programs_failed_at{};
  std::string programs_error;  // empty when every hook and program is effective
  std::string programs_notes;  // what the pod lacks all the same (AttachReport::notes), which is tried again now and then
  // Of what is not: Pintle's own hooks; operators' programs that are required. Both false with an error: best-effort ones alone.
  bool programs_hooks_lack = false, programs_required_lack = false;
  std::string programs_plan_error;  // why there was no plan at the last try; what is attached stays as it is
  bool volumes_mounted = false, volumes_refresh = false;
  Time volumes_mounted_at{};
  // After a refresh that failed: the pod runs on with what it has, so nothing else waits for it.
  std::optional<Wait> refresh_wait;
  std::string refresh_error;
  bool images_asked = false;
  SandboxId inspected_sandbox;  // newest one at the last full read
  SandboxId ips_of;             // lists carry no addresses: they are kept from the last full read
  std::vector<std::string> sandbox_ips;
  SandboxId sandbox_changed_told;
  bool network_told = false;
  std::optional<Wait> step_wait;  // after a failed pod-level step
  std::string step_reason, step_message;
  PlanKind plan = PlanKind::kNone;  // what the running plan is for
  std::string doing;                // … in words
  bool cancel_sent = false;
  std::optional<model::Phase> end_phase;  // decided before the containers were stopped
  std::string end_reason, end_message;    // why it is terminating (DeadlineExceeded …)
  std::optional<Time> terminating_since, stop_deadline;
  std::optional<int64_t> grace_seconds;  // only ever shortens (row 4.5)
  std::optional<int64_t> planned_grace;  // of the stop plan that runs
  bool unmounted = false, detached = false, cgroup_removed = false, files_removed = false;
  std::map<std::string, ContainerMemory> containers;
  std::map<std::string, ProbeMemory> probes;                // key: "readiness/web"
  std::map<std::string, std::string> termination_messages;  // by container id
  std::vector<PendingEvent> events;
  bool status_final = false;                            // last_status is the last word: containers may vanish now
  std::shared_ptr<const model::PodStatus> last_status;  // as last decided, for transition times and final statuses
};

}  // namespace pintle::lifecycle
