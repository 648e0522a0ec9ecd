// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What every ContainerRuntime with an ImageStore must do, whatever is behind it. A subject brings the runtime and the two
// things that only it can do: let a container's process end, and wait. Each check makes its own pod and removes it.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "ports/container_runtime.h"
#include "ports/image_store.h"

namespace pintle::contract {

inline constexpr auto kRegistryUser = "puller", kRegistryPassword = "hunter22";

class Subject {
 public:
  virtual ~Subject() = default;
  [[nodiscard]] virtual ports::ContainerRuntime& runtime() = 0;
  [[nodiscard]] virtual ports::ImageStore& images() = 0;
  // Present, and holding a shell.
  [[nodiscard]] virtual std::string image() const = 0;
  // Not present, and its registry wants kRegistryUser and kRegistryPassword.
  [[nodiscard]] virtual std::string private_image() = 0;
  // Makes the container's process end with `code`; it runs `exit_command(code)`.
  virtual void let_exit(const ContainerId& id, int32_t code) = 0;
  // A folder for logs; the cgroup under which pods may be made.
  [[nodiscard]] virtual std::string log_root() const = 0;
  [[nodiscard]] virtual std::string cgroup_root() const = 0;
};

// Runs all checks; each call gets a fresh or shared subject from `subject`.
void check_all(Subject& subject);

// Shared with suites that go further than the contract.
[[nodiscard]] model::SandboxConfig sandbox_config(const Subject& subject, const std::string& name, uint32_t attempt = 0);
[[nodiscard]] model::ContainerConfig container_config(const Subject& subject, const model::SandboxConfig& pod, const std::string& name,
                                                      uint32_t attempt = 0);
// Reads the status again until `done`, for at most 20 s of real time; the last one read.
[[nodiscard]] Result<model::ObservedContainer> wait_for(Subject& subject, const ContainerId& id,
                                                        const std::function<bool(const model::ObservedContainer&)>& done);
// Removes all of the pod.
void clean_up(Subject& subject, const std::string& uid);

}  // namespace pintle::contract
