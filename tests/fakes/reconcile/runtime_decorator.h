// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Passes every call of a runtime and its image store on to another one, with a word before and after: where a test puts
// failures, lost replies, waits or locks. Thread rule: that of the hooks and of the runtime behind.
#pragma once

#include <functional>
#include <string>
#include <utility>

#include "fakes/reconcile/node_fakes.h"
#include "ports/container_runtime.h"
#include "ports/image_store.h"

namespace pintle::fakes {

template <typename Runtime>
class RuntimeDecorator final : public ports::ContainerRuntime, public ports::ImageStore {
 public:
  explicit RuntimeDecorator(Runtime& runtime) : runtime_(runtime) {}
  CallHooks hooks;
  // Runs the call itself, if set: a place for a lock.
  std::function<void(const std::function<void()>&)> around;
  std::function<Status(const std::function<void(const model::RuntimeEvent&)>&, std::stop_token)> on_watch;
  std::function<void(const PodUid&)> on_inspect;  // before the call, outside of `around`

  [[nodiscard]] Result<model::RuntimeVersion> version() override {
    return pass<Result<model::RuntimeVersion>>("version", [&] { return runtime_.version(); });
  }
  [[nodiscard]] Result<model::RuntimeStatus> status() override {
    return pass<Result<model::RuntimeStatus>>("status", [&] { return runtime_.status(); });
  }
  [[nodiscard]] Result<std::vector<model::ObservedSandbox>> list_sandboxes() override {
    return pass<Result<std::vector<model::ObservedSandbox>>>("list_sandboxes", [&] { return runtime_.list_sandboxes(); });
  }
  [[nodiscard]] Result<std::vector<model::ObservedContainer>> list_containers() override {
    return pass<Result<std::vector<model::ObservedContainer>>>("list_containers", [&] { return runtime_.list_containers(); });
  }
  [[nodiscard]] Result<model::ObservedPod> inspect_pod(const PodUid& uid) override {
    if (on_inspect) on_inspect(uid);
    return pass<Result<model::ObservedPod>>("inspect_pod", [&] { return runtime_.inspect_pod(uid); });
  }
  [[nodiscard]] Result<SandboxId> run_sandbox(const model::SandboxConfig& config, std::stop_token stop) override {
    return pass<Result<SandboxId>>("run_sandbox", [&] { return runtime_.run_sandbox(config, stop); });
  }
  [[nodiscard]] Status stop_sandbox(const SandboxId& id) override {
    return pass<Status>("stop_sandbox", [&] { return runtime_.stop_sandbox(id); });
  }
  [[nodiscard]] Status remove_sandbox(const SandboxId& id) override {
    return pass<Status>("remove_sandbox", [&] { return runtime_.remove_sandbox(id); });
  }
  [[nodiscard]] Result<ContainerId> create_container(const SandboxId& sandbox, const model::ContainerConfig& config,
                                                     const model::SandboxConfig& sandbox_config, std::stop_token stop) override {
    return pass<Result<ContainerId>>("create_container", [&] { return runtime_.create_container(sandbox, config, sandbox_config, stop); });
  }
  [[nodiscard]] Status start_container(const ContainerId& id) override {
    return pass<Status>("start_container", [&] { return runtime_.start_container(id); });
  }
  [[nodiscard]] Status stop_container(const ContainerId& id, std::chrono::seconds grace, std::stop_token stop) override {
    return pass<Status>("stop_container", [&] { return runtime_.stop_container(id, grace, stop); });
  }
  [[nodiscard]] Status remove_container(const ContainerId& id) override {
    return pass<Status>("remove_container", [&] { return runtime_.remove_container(id); });
  }
  [[nodiscard]] Result<model::ObservedContainer> container_status(const ContainerId& id) override {
    return pass<Result<model::ObservedContainer>>("container_status", [&] { return runtime_.container_status(id); });
  }
  [[nodiscard]] Result<model::ExecResult> exec_sync(const ContainerId& id, const std::vector<std::string>& command,
                                                    std::chrono::seconds timeout, std::stop_token stop) override {
    return pass<Result<model::ExecResult>>("exec_sync", [&] { return runtime_.exec_sync(id, command, timeout, stop); });
  }
  [[nodiscard]] Status reopen_log(const ContainerId& id) override {
    return pass<Status>("reopen_log", [&] { return runtime_.reopen_log(id); });
  }
  [[nodiscard]] Status watch_events(const std::function<void(const model::RuntimeEvent&)>& on_event, std::stop_token stop) override {
    if (on_watch) return on_watch(on_event, std::move(stop));
    return runtime_.watch_events(on_event, std::move(stop));
  }
  [[nodiscard]] Result<std::optional<model::ImageInfo>> find_image(const std::string& image) override {
    return pass<Result<std::optional<model::ImageInfo>>>("find_image", [&] { return runtime_.find_image(image); });
  }
  [[nodiscard]] Result<std::vector<model::ImageInfo>> list_images() override {
    return pass<Result<std::vector<model::ImageInfo>>>("list_images", [&] { return runtime_.list_images(); });
  }
  [[nodiscard]] Result<std::string> pull_image(const std::string& image, const std::optional<model::RegistryAuth>& auth,
                                               std::stop_token stop) override {
    return pass<Result<std::string>>("pull_image", [&] { return runtime_.pull_image(image, auth, stop); });
  }

 private:
  template <typename Answer, typename Call>
  Answer pass(const char* op, Call call) {
    if (auto error = hooks.enter(op)) return std::unexpected(*std::move(error));
    std::optional<Answer> answer;
    if (around)
      around([&] { answer.emplace(call()); });
    else
      answer.emplace(call());
    if (auto error = hooks.leave(op)) return std::unexpected(*std::move(error));
    return *std::move(answer);
  }
  Runtime& runtime_;
};

}  // namespace pintle::fakes
