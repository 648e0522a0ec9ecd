// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// FakeContainerRuntime: a container runtime and its images in memory, deterministic, with no thread and no clock of its own.
// It behaves as containerd does where callers can tell: names reserved by attempt, exited containers kept until removed, a
// sandbox's stop kills its containers. Nothing runs in it: tests say when a container exits.
// Thread rule: one thread (FakeCriServer guards it). Faults are given by FaultPlan under the port's method names.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "fakes/fault_plan.h"
#include "ports/container_runtime.h"
#include "ports/image_store.h"

namespace pintle::fakes {

struct FakeSandbox {
  model::SandboxConfig config;
  model::ObservedSandbox seen;
};
struct FakeContainer {
  model::ContainerConfig config;
  model::ObservedContainer seen;
};

class FakeContainerRuntime final : public ports::ContainerRuntime, public ports::ImageStore {
 public:
  // Time comes from `clock`, or from set_now() when there is none.
  explicit FakeContainerRuntime(const Clock* clock = nullptr) : clock_(clock) {}

  // --- the ports ---
  [[nodiscard]] Result<model::RuntimeVersion> version() override;
  [[nodiscard]] Result<model::RuntimeStatus> status() override;
  [[nodiscard]] Result<std::vector<model::ObservedSandbox>> list_sandboxes() override;
  [[nodiscard]] Result<std::vector<model::ObservedContainer>> list_containers() override;
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
  // Never blocks: hands over what has happened since the last call, then kUnavailable. kUnsupported until keep_events(true).
  [[nodiscard]] Status watch_events(const std::function<void(const model::RuntimeEvent&)>& on_event, std::stop_token stop) override;

  [[nodiscard]] Result<std::optional<model::ImageInfo>> find_image(const std::string& image) override;
  [[nodiscard]] Result<std::vector<model::ImageInfo>> list_images() override;
  [[nodiscard]] Result<std::string> pull_image(const std::string& image, const std::optional<model::RegistryAuth>& auth,
                                               std::stop_token stop) override;

  // --- controls: what goes wrong ---
  [[nodiscard]] FaultPlan& faults() { return faults_; }
  // The nth call of `op` from now on does its work and then answers kUnavailable.
  void lose_reply(const std::string& op, int nth = 1) { lost_replies_.insert({op, op_counts_[op] + nth}); }
  // While down every call is kUnavailable; containers live on.
  void set_down(bool down) { down_ = down; }

  // --- controls: what happens in the runtime ---
  void set_now(Time now) { now_ = now; }
  // An empty reason is containerd's: Completed or Error. REQUIRES: the container exists; no effect unless it runs.
  void exit_container(const ContainerId& id, int32_t code, std::string reason = {});
  // The sandbox's process dies: not ready, its containers end with 137.
  void kill_sandbox(const SandboxId& id);
  // Gone without a trace, as after another client's removal.
  void vanish_container(const ContainerId& id) { containers_.erase(id); }
  void vanish_sandbox(const SandboxId& id);
  void set_status(model::RuntimeStatus status) { status_ = std::move(status); }
  void keep_events(bool keep) { keep_events_ = keep; }
  void push_event(model::RuntimeEvent event);
  // The exit code of a container of this name when it is stopped with grace; 143 unless set. Without grace it is 137.
  void set_stop_exit_code(const std::string& container_name, int32_t code) { stop_exit_codes_[container_name] = code; }

  void add_image(const model::ImageInfo& image) { images_[image.id] = image; }
  // Shorthand: an image of this one name, with an id made from it.
  void add_image(const std::string& name) { add_image(image_of(name)); }
  void remove_image(const std::string& image);
  void add_pullable(const std::string& name) { pullable_[name] = image_of(name); }
  void add_pullable(const std::string& name, const model::ImageInfo& image) { pullable_[name] = image; }
  // Its registry wants this user and password.
  void require_auth(const std::string& name, model::RegistryAuth auth) { wanted_auths_[name] = std::move(auth); }
  void fail_pull(const std::string& name, Error error) { pull_errors_[name] = std::move(error); }
  void clear_pull_failure(const std::string& name) { pull_errors_.erase(name); }
  [[nodiscard]] static model::ImageInfo image_of(const std::string& name);

  // Called before a container is set running: where a simulation checks what must already be in force.
  std::function<void(const FakeContainer&, const FakeSandbox&)> on_start_container;
  // What a command answers; unset: exit code 0 and no output.
  std::function<Result<model::ExecResult>(const FakeContainer&, const std::vector<std::string>&)> on_exec;

  // --- a look inside, free of faults ---
  [[nodiscard]] const std::map<SandboxId, FakeSandbox>& sandboxes() const { return sandboxes_; }
  [[nodiscard]] const std::map<ContainerId, FakeContainer>& containers() const { return containers_; }
  [[nodiscard]] const FakeSandbox* find_sandbox(const std::string& uid, uint32_t attempt) const;
  [[nodiscard]] const FakeContainer* find_container(const std::string& uid, const std::string& name, uint32_t attempt) const;
  // One line a call: "create_container default/web/main#0", "stop_container ct-3".
  [[nodiscard]] const std::vector<std::string>& calls() const { return calls_; }
  void clear_calls() { calls_.clear(); }

 private:
  [[nodiscard]] Time now() const { return clock_ != nullptr ? clock_->now() : now_; }
  // Counts and logs a call; the error it ends with before any effect.
  [[nodiscard]] std::optional<Error> begin(const std::string& op, const std::string& object);
  // The error it ends with after its effect.
  [[nodiscard]] std::optional<Error> end(const std::string& op);
  [[nodiscard]] model::ObservedContainer as_listed(const FakeContainer& container) const;
  [[nodiscard]] const model::ImageInfo* lookup_image(const std::string& image) const;
  void end_container(FakeContainer& container, int32_t code, std::string reason);

  const Clock* clock_;
  Time now_{std::chrono::seconds{1'700'000'000}};
  FaultPlan faults_;
  std::map<std::string, int> op_counts_;
  std::set<std::pair<std::string, int>> lost_replies_;
  bool down_ = false, keep_events_ = false;
  std::vector<std::string> calls_;
  std::vector<model::RuntimeEvent> events_;
  model::RuntimeStatus status_{{true, {}, {}}, {true, {}, {}}};
  uint64_t made_ = 0;  // sandboxes and containers so far: gives ids, pids and addresses
  std::map<SandboxId, FakeSandbox> sandboxes_;
  std::map<ContainerId, FakeContainer> containers_;
  std::map<std::string, model::ImageInfo> images_;  // by id
  std::map<std::string, model::ImageInfo> pullable_;
  std::map<std::string, Error> pull_errors_;
  std::map<std::string, model::RegistryAuth> wanted_auths_;
  std::map<std::string, int32_t> stop_exit_codes_;
};

}  // namespace pintle::fakes
