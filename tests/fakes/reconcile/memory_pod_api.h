// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The pods of an API server in memory: UIDs and versions of its own, UID preconditions, and the refusals that mirror pods meet. A test
// may delete and add pods as other users would, let calls fail, and see what was called. Held to the contract suite of PodApi.
// `on_change` tells what a watch would (null pod: gone), after each change and in the order of the changes; it must not call back.
// Thread rule: any thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "fakes/fault_plan.h"
#include "ports/pod_api.h"

namespace pintle::fakes {

class MemoryPodApi final : public ports::PodApi {
 public:
  using PodPtr = std::shared_ptr<const model::Pod>;
  // Set before the first call.
  std::function<void(const PodUid&, const PodPtr&)> on_change;

  // --- what a test does ---
  template <typename Change>
  void with_faults(Change change) {
    const MutexLock lock(mu_);
    change(faults_);
  }
  [[nodiscard]] std::vector<std::string> calls() {
    const MutexLock lock(mu_);
    return faults_.calls();
  }
  [[nodiscard]] PodPtr find(const std::string& full_name) {
    const MutexLock lock(mu_);
    const auto found = pods_.find(full_name);
    return found == pods_.end() ? nullptr : std::make_shared<const model::Pod>(found->second);
  }
  [[nodiscard]] size_t size() {
    const MutexLock lock(mu_);
    return pods_.size();
  }
  // As another user: gone at once.
  void force_delete(const std::string& full_name) {
    const MutexLock order(order_mu_);
    PodUid uid;
    {
      const MutexLock lock(mu_);
      const auto found = pods_.find(full_name);
      if (found == pods_.end()) return;
      uid = found->second.uid();
      pods_.erase(found);
      changed_.notify_all();
    }
    tell(uid, nullptr);
  }
  // As another user, with a grace period: marked, and there until its node deletes it.
  void mark_deleted(const std::string& full_name, Time at) {
    const MutexLock order(order_mu_);
    PodPtr now;
    {
      const MutexLock lock(mu_);
      auto& pod = pods_.at(full_name);
      pod.metadata.deletion_timestamp = at;
      pod.metadata.deletion_grace_period_seconds = 30;
      now = touch(pod);
    }
    tell(now->uid(), now);
  }
  // True when `condition` held within a while; it is asked again at every change, with the lock of the fake not held.
  [[nodiscard]] bool wait_for(const std::function<bool()>& condition) {
    for (;;) {
      uint64_t seen = 0;
      {
        const MutexLock lock(mu_);
        seen = changes_;
      }
      if (condition()) return true;
      const MutexLock lock(mu_);
      if (!changed_.wait_for(mu_, std::chrono::seconds(20), [&]() PINTLE_ANNOTATE(no_thread_safety_analysis) { return changes_ != seen; }))
        return condition();
    }
  }

  // --- PodApi ---
  Result<model::Pod> create_pod(const model::Pod& pod, std::stop_token stop) override {
    const MutexLock order(order_mu_);
    PodPtr made;
    {
      const MutexLock lock(mu_);
      PINTLE_TRY(begin("create", pod, stop));
      if (pods_.contains(pod.full_name()))
        return std::unexpected(Error{Code::kAlreadyExists, 0, "pod '" + pod.full_name() + "' already exists"});
      PINTLE_TRY(accept(pod));
      auto& kept = pods_[pod.full_name()];
      kept = pod;
      kept.metadata.uid = "uid-" + std::to_string(++last_uid_);
      kept.status = {};
      made = touch(kept);
    }
    tell(made->uid(), made);
    return *made;
  }
  Status delete_pod(const model::Pod& pod, std::stop_token stop) override {
    const MutexLock order(order_mu_);
    {
      const MutexLock lock(mu_);
      PINTLE_TRY(begin("delete", pod, stop));
      const auto found = pods_.find(pod.full_name());
      if (found == pods_.end()) return {};
      if (found->second.metadata.uid != pod.metadata.uid) return std::unexpected(Error{Code::kGone, 0, "the UID is another one"});
      pods_.erase(found);
      changed_.notify_all();
    }
    tell(pod.uid(), nullptr);
    return {};
  }
  Result<model::Pod> patch_status(const model::Pod& last_known, const model::PodStatus& status, std::stop_token stop) override {
    const MutexLock order(order_mu_);
    PodPtr now;
    {
      const MutexLock lock(mu_);
      if (last_known.status == status) return last_known;
      PINTLE_TRY(begin("patch", last_known, stop));
      const auto found = pods_.find(last_known.full_name());
      if (found == pods_.end()) return std::unexpected(Error{Code::kNotFound, 0, "no pod '" + last_known.full_name() + "'"});
      if (found->second.metadata.uid != last_known.metadata.uid)
        return std::unexpected(Error{Code::kGone, 0, "another pod has the name now"});
      found->second.status = status;
      now = touch(found->second);
    }
    tell(now->uid(), now);
    return *now;
  }

 private:
  [[nodiscard]] Status begin(const std::string& op, const model::Pod& pod, const std::stop_token& stop) PINTLE_REQUIRES(mu_) {
    ++changes_;
    changed_.notify_all();
    auto error = faults_.next(op, pod.full_name());
    if (stop.stop_requested()) return std::unexpected(Error{Code::kCancelled, 0, "stopped"});
    if (error) return std::unexpected(*std::move(error));
    return {};
  }
  // What the admission of an API server says of mirrors.
  [[nodiscard]] static Status accept(const model::Pod& pod) {
    const auto refuse = [](const char* why) -> Status { return std::unexpected(Error{Code::kInvalid, 0, why}); };
    if (!pod.metadata.annotations.contains("kubernetes.io/config.mirror")) return {};
    const auto& spec = pod.spec;
    if (spec.node_name.empty()) return refuse("a mirror pod must name its node");
    if (!spec.service_account_name.empty()) return refuse("a mirror pod may not reference service accounts");
    if (!spec.image_pull_secrets.empty()) return refuse("a mirror pod may not reference secrets");
    if (!spec.ephemeral_containers.empty()) return refuse("ephemeral containers are not set when a pod is created");
    std::set<std::string> volumes;
    for (const auto& volume : spec.volumes) {
      volumes.insert(volume.name);
      const auto* projected = std::get_if<model::ProjectedVolume>(&volume.source);
      if (projected != nullptr)
        for (const auto& source : projected->sources)
          if (!std::holds_alternative<model::DownwardApiVolume>(source)) return refuse("a mirror pod may not project objects");
      if (std::holds_alternative<model::SecretVolume>(volume.source)) return refuse("a mirror pod may not reference secrets");
      if (std::holds_alternative<model::ConfigMapVolume>(volume.source)) return refuse("a mirror pod may not reference configmaps");
      if (std::holds_alternative<model::UnsupportedVolume>(volume.source)) return refuse("a volume without its parameters");
    }
    for (const auto* list : {&spec.init_containers, &spec.containers})
      for (const auto& container : *list) {
        if (!container.env_from.empty()) return refuse("a mirror pod may not reference objects");
        for (const auto& variable : container.env)
          if (std::holds_alternative<model::SecretKeyRef>(variable.value_from) ||
              std::holds_alternative<model::ConfigMapKeyRef>(variable.value_from))
            return refuse("a mirror pod may not reference objects");
        for (const auto& mount : container.volume_mounts)
          if (!volumes.contains(mount.name)) return refuse("a mount of a volume that is not there");
      }
    return {};
  }
  PodPtr touch(model::Pod& pod) PINTLE_REQUIRES(mu_) {
    pod.metadata.resource_version = std::to_string(++last_version_);
    changed_.notify_all();
    return std::make_shared<const model::Pod>(pod);
  }
  void tell(const PodUid& uid, const PodPtr& pod) {
    if (on_change) on_change(uid, pod);
    const MutexLock lock(mu_);
    ++changes_;
    changed_.notify_all();
  }

  Mutex order_mu_;  // held from a change until it has been told
  Mutex mu_;
  ConditionVariable changed_;
  FaultPlan faults_ PINTLE_GUARDED_BY(mu_);
  std::map<std::string, model::Pod> pods_ PINTLE_GUARDED_BY(mu_);
  uint64_t last_uid_ PINTLE_GUARDED_BY(mu_) = 0, last_version_ PINTLE_GUARDED_BY(mu_) = 0, changes_ PINTLE_GUARDED_BY(mu_) = 0;
};

}  // namespace pintle::fakes
