// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to eBPF: attaches the node's one shared program set to pod cgroups by pinned links, adopts the pins after a
// restart, counts and reports. A refused hook is a row in the report, not an Error: whether the pod may run is policy.
// Thread rule: any thread; calls for one pod are serial by the caller. Event callbacks come on the attacher's own thread.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/ebpf.h"
#include "ports/cgroup_tree.h"

namespace pintle::ports {

struct PodIdentity {
  PodUid uid;
  std::string namespace_, name;
};

class ProgramAttacher {
 public:
  virtual ~ProgramAttacher() = default;

  // Puts the plan in force on the pod's cgroup: its rules first, then every hook as a pinned link. Adopts a live pin, replaces a dead
  // one, drops hooks that the plan no longer has (facts/ebpf 4.3–4.4). Idempotent. Error only when nothing could be tried
  // (kUnsupported: no eBPF here, with the reason).
  [[nodiscard]] virtual Result<model::AttachReport> attach(const PodIdentity& pod, const PodCgroup& cgroup,
                                                           const model::ProgramPlan& plan) = 0;
  // Unpins and frees the pod's slot. Absent is success.
  [[nodiscard]] virtual Status detach(const PodUid& uid) = 0;
  // Pods that have pins under our folder, attached by this or an earlier run.
  [[nodiscard]] virtual Result<std::vector<PodUid>> list_pinned() = 0;

  // Reads each link back from the kernel: state kDead when the cgroup went away under it. kNotFound: nothing attached.
  [[nodiscard]] virtual Result<model::AttachReport> inspect(const PodUid& uid) = 0;
  [[nodiscard]] virtual Result<model::PodCounters> counters(const PodUid& uid) = 0;
  // Of every pod that counts, in one walk without a system call. The visitor must not call back.
  using CountersVisitor = std::function<void(const PodUid&, const model::PodCounters&)>;
  virtual void each_counters(const CountersVisitor& visit) = 0;
  [[nodiscard]] virtual std::vector<model::FeatureProbe> features() = 0;

  // Puts the set of that name in force on all pods, those attached from now on too: checked on a cgroup of the attacher's own before any
  // pod has it and again after, pod by pod without a moment under no program. Error: the set before is in force as it was, on every pod
  // (program_set() says whether it had been switched). Idempotent; a file that changed is another set, and what failed is not tried again
  // until it has, or until another set was asked for. Serial by the caller.
  [[nodiscard]] virtual Status use_program_set(const std::string& name) = 0;
  [[nodiscard]] virtual model::ProgramSetStatus program_set() = 0;

  // At most one observer each; null to clear. Exit events are a hint to look at a container, never a state.
  virtual void on_event(std::function<void(const model::ProgramEvent&)> observer) = 0;
  // Pods of which a link may have died just now: a reason for inspect(), within milliseconds. Not told of what the attacher does itself.
  // On a thread of the attacher's; null to clear.
  virtual void on_suspicion(std::function<void(const PodUid& uid)> observer) = 0;
  // Global events lost before user space saw them (all pods and no pod).
  [[nodiscard]] virtual uint64_t events_lost() = 0;
};

}  // namespace pintle::ports
