// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to the node's cgroup tree: kubepods, its QoS children and the pod cgroups (facts section 15).
// A pod's cgroup is held as a directory fd of the v2 hierarchy plus its inode; its path is for people and the runtime.
// Thread rule: any thread; calls for one pod are serial by the caller.
// Errors: kNotFound, kUnavailable, kUnsupported (no v2 hierarchy on this host), kInternal.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/ids.h"
#include "base/result.h"
#include "base/unique_fd.h"
#include "model/pod.h"

namespace pintle::ports {

struct PodCgroup {
  std::shared_ptr<DirFd> dir;  // in the v2 hierarchy; null on a host without one (eBPF unavailable, limits still set)
  CgroupId id;                 // st_ino of dir; 0 without one
  std::string path;            // absolute, of the directory in the v2 hierarchy, or in v1's memory hierarchy without one
  std::string runtime_parent;  // what the CRI's cgroup_parent gets: "/kubepods/burstable/pod<uid>" or "….slice"
};

// Values for a pod's or a QoS class's cgroup; nullopt: leave the kernel's default.
struct CgroupLimits {
  std::optional<uint64_t> cpu_shares;   // v1 scale; converted to weight by row 15.8
  std::optional<int64_t> cpu_quota_us;  // per cpu_period_us; -1 no limit
  int64_t cpu_period_us = 100000;
  std::optional<int64_t> memory_bytes;  // -1 no limit
  std::optional<int64_t> pids;
};

class CgroupTree {
 public:
  virtual ~CgroupTree() = default;

  // Makes kubepods, burstable and besteffort where missing. Idempotent.
  [[nodiscard]] virtual Status ensure_root(const CgroupLimits& kubepods) = 0;
  // The limits of a QoS class's own cgroup (row 15.4). REQUIRES: ensure_root() was called; Burstable or BestEffort.
  [[nodiscard]] virtual Status limit_class(model::QosClass qos, const CgroupLimits& limits) = 0;
  // Makes or finds the pod's cgroup in every hierarchy, applies limits, and opens it. Idempotent.
  [[nodiscard]] virtual Result<PodCgroup> ensure_pod(const PodUid& uid, model::QosClass qos, const CgroupLimits& limits) = 0;
  // Kills what is left inside (row 15.16) and removes it everywhere. Absent is success.
  [[nodiscard]] virtual Status remove_pod(const PodUid& uid) = 0;
  // Every pod that has a cgroup in any hierarchy, whatever its QoS class.
  [[nodiscard]] virtual Result<std::vector<PodUid>> list_pods() = 0;
  // The ids of all cgroups at and below the pod's, so that an event's cgroup can be told to belong to it.
  [[nodiscard]] virtual Result<std::vector<CgroupId>> list_descendants(const PodUid& uid) = 0;
  // Pids in the cgroup at or below the pod's, every hierarchy.
  [[nodiscard]] virtual Result<std::vector<int>> list_pids(const PodUid& uid) = 0;
};

}  // namespace pintle::ports
