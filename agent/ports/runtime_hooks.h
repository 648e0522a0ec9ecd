// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to a runtime that tells of sandboxes and containers before they start and waits for the answer (NRI): what it tells, and what
// became of it in figures. Thread rule: calls come one at a time, from a thread of the adapter; figures are plain values.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "model/status.h"

namespace pintle::ports {

// What the runtime knows of a pod: names, uid, labels, annotations, whether it has the host's network; and where its cgroup lies.
struct RuntimePod {
  std::shared_ptr<const model::Pod> pod;
  std::string cgroup_parent;  // a path (cgroupfs) or a slice's name (systemd)
};

class RuntimeHooks {
 public:
  virtual ~RuntimeHooks() = default;
  // The pods there are when the runtime begins to tell. Must not wait.
  virtual void synchronized(const std::vector<RuntimePod>& pods) = 0;
  // Its sandbox was made; no container of it has been. Returns within `budget`.
  virtual void sandbox_made(const RuntimePod& pod, Duration budget, const std::stop_token& stop) = 0;
  // Before one of its containers is made. An Error refuses it: the runtime's caller gets the text. Returns within `budget`.
  [[nodiscard]] virtual Status before_container(const RuntimePod& pod, const std::string& container, Duration budget,
                                                const std::stop_token& stop) = 0;
};

enum class HookCall { kSynchronize, kRunPodSandbox, kCreateContainer };
inline constexpr std::array kHookCalls = {HookCall::kSynchronize, HookCall::kRunPodSandbox, HookCall::kCreateContainer};
[[nodiscard]] inline std::string_view to_string(HookCall call) {
  switch (call) {
    case HookCall::kSynchronize: return "Synchronize";
    case HookCall::kRunPodSandbox: return "RunPodSandbox";
    case HookCall::kCreateContainer: return "CreateContainer";
  }
  return "";
}

struct HookCounts {
  struct OfCall {
    uint64_t answered = 0, refused = 0;  // refused: answered with an error; counted in `answered` as well
    Duration took{};                     // all of them together
  };
  std::array<OfCall, kHookCalls.size()> calls;
  bool connected = false;
  uint64_t connections = 0, lost = 0;  // registrations that succeeded; those of them that ended without our doing
  uint64_t late = 0;                   // pods that were let through because their programs were not in force within the budget
  [[nodiscard]] OfCall& of(HookCall call) { return calls[static_cast<size_t>(call)]; }
  [[nodiscard]] const OfCall& of(HookCall call) const { return calls[static_cast<size_t>(call)]; }
};

}  // namespace pintle::ports
