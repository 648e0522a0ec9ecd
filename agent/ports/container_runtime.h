// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to a CRI runtime: sandboxes and containers. Calls block until answered, refused, past their deadline
// (facts row 5.7, the adapter's own) or until the stop token is triggered (kCancelled).
// Thread rule: any thread, any number at once; a stuck call holds up its own caller only.
// Errors: kUnavailable (runtime down or deadline), kNotFound (no such id), kAlreadyExists, kUnsupported (the runtime
// does not implement the call), kInvalid, kCancelled, kInternal.
#pragma once

#include <chrono>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/runtime.h"

namespace pintle::ports {

class ContainerRuntime {
 public:
  virtual ~ContainerRuntime() = default;

  [[nodiscard]] virtual Result<model::RuntimeVersion> version() = 0;
  [[nodiscard]] virtual Result<model::RuntimeStatus> status() = 0;

  // Lists carry what the runtime's list calls carry: no ips, no exit codes (ObservedContainer::detailed is false).
  [[nodiscard]] virtual Result<std::vector<model::ObservedSandbox>> list_sandboxes() = 0;
  [[nodiscard]] virtual Result<std::vector<model::ObservedContainer>> list_containers() = 0;
  // Everything of one pod with full status, newest first: the read-back after an action. Empty lists when there is nothing.
  [[nodiscard]] virtual Result<model::ObservedPod> inspect_pod(const PodUid& uid) = 0;

  // Idempotent by (uid, attempt): one whose reply was lost is found again and adopted.
  [[nodiscard]] virtual Result<SandboxId> run_sandbox(const model::SandboxConfig& config, std::stop_token stop) = 0;
  // Both idempotent. Containers that still run are asked to end; how long they may take is the runtime's matter (CRI-O: as long as the
  // request may last). Whoever wants them ended by a time of its own stops them first. So with remove_container().
  [[nodiscard]] virtual Status stop_sandbox(const SandboxId& id) = 0;
  [[nodiscard]] virtual Status remove_sandbox(const SandboxId& id) = 0;

  // Idempotent by (sandbox, name, attempt).
  [[nodiscard]] virtual Result<ContainerId> create_container(const SandboxId& sandbox, const model::ContainerConfig& config,
                                                             const model::SandboxConfig& sandbox_config, std::stop_token stop) = 0;
  [[nodiscard]] virtual Status start_container(const ContainerId& id) = 0;
  // Sends the stop signal, KILL after `grace`. Returns once stopped. Idempotent; kNotFound is success.
  [[nodiscard]] virtual Status stop_container(const ContainerId& id, std::chrono::seconds grace, std::stop_token stop) = 0;
  [[nodiscard]] virtual Status remove_container(const ContainerId& id) = 0;  // idempotent
  [[nodiscard]] virtual Result<model::ObservedContainer> container_status(const ContainerId& id) = 0;
  // timeout zero: none. kUnavailable with "deadline" in the text when the command outlived it.
  [[nodiscard]] virtual Result<model::ExecResult> exec_sync(const ContainerId& id, const std::vector<std::string>& command,
                                                            std::chrono::seconds timeout, std::stop_token stop) = 0;
  [[nodiscard]] virtual Status reopen_log(const ContainerId& id) = 0;

  // Blocks, calling `on_event` for each event of the runtime's stream, until `stop` (returns kCancelled), the stream breaks
  // (kUnavailable) or the runtime has none (kUnsupported: containerd before 1.7, CRI-O without enable_pod_events).
  [[nodiscard]] virtual Status watch_events(const std::function<void(const model::RuntimeEvent&)>& on_event, std::stop_token stop) = 0;
};

}  // namespace pintle::ports
