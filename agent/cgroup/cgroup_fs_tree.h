// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The node's cgroup tree by the cgroupfs driver: ROOT/kubepods/{burstable,besteffort}/pod<UID> in every hierarchy of the
// layout (facts rows 15.2–15.5, 15.16, 15.18). Nothing outside ROOT/kubepods is removed; above it only controllers are enabled.
// The systemd driver is not built: main refuses it. Contract: ports/cgroup_tree.h.
#pragma once

#include <string>
#include <vector>

#include "cgroup/layout.h"
#include "ports/cgroup_tree.h"

namespace pintle::cgroup {

class CgroupFsTree final : public ports::CgroupTree {
 public:
  // `root`: cgroup path below which kubepods is made, "/" or "/system/pintle".
  CgroupFsTree(Layout layout, std::string root);

  [[nodiscard]] Status ensure_root(const ports::CgroupLimits& kubepods) override;
  [[nodiscard]] Status limit_class(model::QosClass qos, const ports::CgroupLimits& limits) override;
  [[nodiscard]] Result<ports::PodCgroup> ensure_pod(const PodUid& uid, model::QosClass qos, const ports::CgroupLimits& limits) override;
  [[nodiscard]] Status remove_pod(const PodUid& uid) override;
  [[nodiscard]] Result<std::vector<PodUid>> list_pods() override;
  [[nodiscard]] Result<std::vector<CgroupId>> list_descendants(const PodUid& uid) override;
  [[nodiscard]] Result<std::vector<int>> list_pids(const PodUid& uid) override;

  // Removes kubepods, its classes and ROOT itself where they are empty: for uninstalling. kUnavailable names what is still in use.
  [[nodiscard]] Status remove_root();
  [[nodiscard]] const Layout& layout() const { return layout_; }

 private:
  [[nodiscard]] std::vector<std::string> mounts() const;                         // v2 first
  [[nodiscard]] Status make(const std::string& mount, const std::string& path);  // with parents, controllers enabled on the way
  [[nodiscard]] Status limit(const std::string& path, const ports::CgroupLimits& limits);
  [[nodiscard]] std::vector<std::string> find_pod(const PodUid& uid) const;  // absolute directories, every hierarchy and class
  void inherit_cpuset(const std::string& mount, const std::string& path);

  const Layout layout_;
  const std::string root_;  // "" or "/name"
};

}  // namespace pintle::cgroup
