// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Holds a kubelet's pods back until their programs are in force, where the runtime asks before it makes a container (nri/plugin.h):
// tells the loop of the pod, and answers when its programs stand, or when the time is up. Then a pod that must not run without them is
// refused, so that the kubelet tells of it and tries again; another one is let through, counted, and an event tells of it.
// Pods whose cgroup is not one of a kubelet's are nobody's here.
// Thread rule: as ports::RuntimeHooks; late() from any thread.
#pragma once

#include <atomic>
#include <functional>

#include "base/time.h"
#include "ports/pod_api.h"
#include "ports/runtime_hooks.h"
#include "reconcile/loop_thread.h"

namespace pintle::app {

class PodGate final : public ports::RuntimeHooks {
 public:
  struct Parts {
    const Clock& clock;
    reconcile::LoopThread& loop;
    ports::EventSink& events;
    std::function<void(const ports::PodPtr&)> note;             // puts it into the loop's table, unless its source has
    std::function<void(const PodUid&)> withdraw;                // takes it out again: it has no cgroup here
    std::function<bool(const PodUid&)> has_cgroup;              // and has it looked for if not
    std::function<bool()> policies_known;                       // what a plan is made of has been read
    std::function<bool(const PodUid&)> still_in_force;          // what an earlier run attached
    model::EbpfPolicy policy = model::EbpfPolicy::kBestEffort;  // of pods that do not say
    bool fail_closed = true;
  };
  // REQUIRES: all outlive this.
  explicit PodGate(Parts parts) : parts_(std::move(parts)) {}

  void synchronized(const std::vector<ports::RuntimePod>& pods) override;
  void sandbox_made(const ports::RuntimePod& pod, Duration budget, const std::stop_token& stop) override;
  [[nodiscard]] Status before_container(const ports::RuntimePod& pod, const std::string& container, Duration budget,
                                        const std::stop_token& stop) override;
  [[nodiscard]] uint64_t late() const { return late_; }

 private:
  [[nodiscard]] reconcile::ProgramStanding wait(const ports::PodPtr& pod, Duration budget, const std::stop_token& stop);
  void tell_late(const ports::PodPtr& pod, const std::string& container, const std::string& why);

  const Parts parts_;
  std::atomic<uint64_t> late_ = 0;
};

}  // namespace pintle::app
