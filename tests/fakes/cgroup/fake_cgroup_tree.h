// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A cgroup tree in memory: keeps pods, limits and ids like the real one (an id is never used twice), and outlives an agent that
// is restarted on it. No thread, no clock. Held to the same contract suite as CgroupFsTree.
#pragma once

#include <map>
#include <set>

#include "fakes/fault_plan.h"
#include "ports/cgroup_tree.h"

namespace pintle::fakes {

class FakeCgroupTree final : public ports::CgroupTree {
 public:
  struct Pod {
    CgroupId id;
    model::QosClass qos = model::QosClass::kBestEffort;
    ports::CgroupLimits limits;
    std::set<int> pids;
  };
  FaultPlan faults;

  Status ensure_root(const ports::CgroupLimits&) override {
    if (auto error = faults.next("ensure_root")) return std::unexpected(*error);
    return {};
  }
  Status limit_class(model::QosClass qos, const ports::CgroupLimits& limits) override {
    if (auto error = faults.next("limit_class")) return std::unexpected(*error);
    if (qos == model::QosClass::kGuaranteed) return fail(Code::kInvalid, "guaranteed pods have no cgroup of their class");
    class_limits_[qos] = limits;
    return {};
  }
  Result<ports::PodCgroup> ensure_pod(const PodUid& uid, model::QosClass qos, const ports::CgroupLimits& limits) override {
    if (auto error = faults.next("ensure_pod", uid.value())) return std::unexpected(*error);
    auto [found, made] = pods_.try_emplace(uid);
    if (made) found->second.id = CgroupId(++last_id_);
    found->second.qos = qos;
    found->second.limits = limits;
    const std::string path = "/kubepods/pod" + uid.value();
    return ports::PodCgroup{.dir = nullptr, .id = found->second.id, .path = "/sys/fs/cgroup" + path, .runtime_parent = path};
  }
  Status remove_pod(const PodUid& uid) override {
    if (auto error = faults.next("remove_pod", uid.value())) return std::unexpected(*error);
    pods_.erase(uid);
    return {};
  }
  Result<std::vector<PodUid>> list_pods() override {
    if (auto error = faults.next("list_pods")) return std::unexpected(*error);
    std::vector<PodUid> uids;
    for (const auto& [uid, pod] : pods_) uids.push_back(uid);
    return uids;
  }
  Result<std::vector<CgroupId>> list_descendants(const PodUid& uid) override {
    const auto found = pods_.find(uid);
    return found == pods_.end() ? std::vector<CgroupId>{} : std::vector<CgroupId>{found->second.id};
  }
  Result<std::vector<int>> list_pids(const PodUid& uid) override {
    const auto found = pods_.find(uid);
    return found == pods_.end() ? std::vector<int>{} : std::vector<int>(found->second.pids.begin(), found->second.pids.end());
  }

  [[nodiscard]] const std::map<PodUid, Pod>& pods() const { return pods_; }
  [[nodiscard]] const std::map<model::QosClass, ports::CgroupLimits>& class_limits() const { return class_limits_; }
  [[nodiscard]] Pod* find(const PodUid& uid) {
    const auto found = pods_.find(uid);
    return found == pods_.end() ? nullptr : &found->second;
  }

 private:
  std::map<PodUid, Pod> pods_;
  std::map<model::QosClass, ports::CgroupLimits> class_limits_;
  uint64_t last_id_ = 1000;
};

}  // namespace pintle::fakes
