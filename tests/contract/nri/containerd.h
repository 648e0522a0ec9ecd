// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A containerd of the test's own with NRI (scripts/dev-containerd --nri), for whoever links containerd_main.cpp: the program starts itself
// again under that script, in mount and network namespaces of its own, and what it started is taken down. Debian's 1.6 has no NRI:
// PINTLE_CONTAINERD names a folder with a newer one.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "contract/nri/contract.h"
#include "cri/cri_runtime.h"

namespace pintle::contract {

class ContainerdSubject final : public NriSubject {
 public:
  ContainerdSubject() { connect(); }
  [[nodiscard]] static std::string dir();          // containerd's, and ours
  [[nodiscard]] static std::string cgroup_name();  // below each hierarchy's root; removed at the end with what lies in it
  [[nodiscard]] std::string socket() const override { return dir() + "/nri.sock"; }
  [[nodiscard]] std::string cgroup_root() const override { return "/" + cgroup_name() + "/kubepods"; }
  [[nodiscard]] Status run_sandbox(const NriTestPod& pod) override;
  [[nodiscard]] Status create_container(const NriTestPod& pod, const std::string& name) override;
  void remove(const NriTestPod& pod) override;
  void restart() override;

  [[nodiscard]] cri::CriRuntime& cri() { return *cri_; }
  // Runs `command` in a shell; its output is log_of().
  [[nodiscard]] Result<ContainerId> create(const NriTestPod& pod, const std::string& name, const std::string& command);
  [[nodiscard]] static std::string log_of(const NriTestPod& pod, const std::string& name);

 private:
  void connect();
  std::unique_ptr<cri::CriRuntime> cri_;
  std::map<std::string, SandboxId> sandboxes_;
};

}  // namespace pintle::contract
