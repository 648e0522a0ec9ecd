// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// CriRuntime: the container runtime and its images over CRI v1 (gRPC on a unix socket): containerd or CRI-O. Knows nothing of
// pods' rules; it converts, calls with the deadlines of facts row 5.7, and finds an object again whose creation was not answered.
// Thread rule: any thread, any number of calls at once. Connects on first use and again by itself (back-off 100 ms to 3 s).
// Errors: as the ports say; every text begins with the CRI method and the object: "RunPodSandbox 'default/web': …".
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "ports/container_runtime.h"
#include "ports/image_store.h"

namespace pintle::cri {

struct CriOptions {
  std::string runtime_endpoint = "unix:///run/containerd/containerd.sock";
  std::string image_endpoint;                          // empty: runtime_endpoint
  std::chrono::milliseconds request_timeout{120'000};  // row 5.7, runtimeRequestTimeout; RunPodSandbox gets twice as long
};

enum class CgroupDriver { kCgroupfs, kSystemd };

class CriRuntime final : public ports::ContainerRuntime, public ports::ImageStore {
 public:
  // kInvalid: an endpoint that is no "unix://" path. Does not wait for the runtime.
  [[nodiscard]] static Result<std::unique_ptr<CriRuntime>> create(CriOptions options);
  // REQUIRES: no call is under way.
  ~CriRuntime() override;

  [[nodiscard]] Result<model::RuntimeVersion> version() override;
  [[nodiscard]] Result<model::RuntimeStatus> status() override;

  [[nodiscard]] Result<std::vector<model::ObservedSandbox>> list_sandboxes() override;
  [[nodiscard]] Result<std::vector<model::ObservedContainer>> list_containers() override;
  // Objects that vanish between the list and their status read are left out.
  [[nodiscard]] Result<model::ObservedPod> inspect_pod(const PodUid& uid) override;

  [[nodiscard]] Result<SandboxId> run_sandbox(const model::SandboxConfig& config, std::stop_token stop) override;
  [[nodiscard]] Status stop_sandbox(const SandboxId& id) override;
  [[nodiscard]] Status remove_sandbox(const SandboxId& id) override;

  [[nodiscard]] Result<ContainerId> create_container(const SandboxId& sandbox, const model::ContainerConfig& config,
                                                     const model::SandboxConfig& sandbox_config, std::stop_token stop) override;
  [[nodiscard]] Status start_container(const ContainerId& id) override;
  [[nodiscard]] Status stop_container(const ContainerId& id, std::chrono::seconds grace, std::stop_token stop) override;
  [[nodiscard]] Status remove_container(const ContainerId& id) override;
  [[nodiscard]] Result<model::ObservedContainer> container_status(const ContainerId& id) override;
  [[nodiscard]] Result<model::ExecResult> exec_sync(const ContainerId& id, const std::vector<std::string>& command,
                                                    std::chrono::seconds timeout, std::stop_token stop) override;
  [[nodiscard]] Status reopen_log(const ContainerId& id) override;
  [[nodiscard]] Status watch_events(const std::function<void(const model::RuntimeEvent&)>& on_event, std::stop_token stop) override;

  [[nodiscard]] Result<std::optional<model::ImageInfo>> find_image(const std::string& image) override;
  [[nodiscard]] Result<std::vector<model::ImageInfo>> list_images() override;
  [[nodiscard]] Result<std::string> pull_image(const std::string& image, const std::optional<model::RegistryAuth>& auth,
                                               std::stop_token stop) override;

  // --- what no port asks for yet ---
  [[nodiscard]] Status remove_image(const std::string& image);  // idempotent
  [[nodiscard]] Status update_resources(const ContainerId& id, const model::LinuxResources& resources);
  // Row 1.13. kUnsupported: a runtime that does not tell (containerd before 2.0).
  [[nodiscard]] Result<CgroupDriver> cgroup_driver();

  // Ends every call under way, and any later one, with kCancelled: for the agent's own stop.
  void cancel_all();

 private:
  class Client;
  explicit CriRuntime(std::unique_ptr<Client> client);

  [[nodiscard]] Result<SandboxId> adopt_sandbox(const model::SandboxConfig& config, Error cause);
  [[nodiscard]] Result<ContainerId> adopt_container(const SandboxId& sandbox, const model::ContainerConfig& config, Error cause);

  std::unique_ptr<Client> client_;
};

}  // namespace pintle::cri
