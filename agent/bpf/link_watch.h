// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Notices within milliseconds that links of a pod may be dead: a pin was taken away (inotify on the pod's folder), or the pod's cgroup was
// made anew at its path, which the kernel's cgroup_rmdir tells (ebpf/lifecycle) and a look at the path confirms. A cgroup that is just
// gone is no suspicion: that is how pods end. BPF_LINK_DETACH gives no notice of any kind; that is for the audit each 10 s.
// Only a reason to look: inspect() says what is. Thread rule: any; the callback comes on the watch's own thread, without a lock held.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/ids.h"
#include "base/mutex.h"
#include "base/unique_fd.h"

namespace pintle::bpf {

class LinkWatch {
 public:
  using Observer = std::function<void(const PodUid&)>;
  // kUnavailable: out of inotify instances (fs.inotify.max_user_instances).
  [[nodiscard]] static Result<std::unique_ptr<LinkWatch>> start(Observer observer);
  ~LinkWatch();

  // From now on what vanishes from the folder is told. A folder that is not there, or not enough watches: the audit's.
  void add(const PodUid& uid, const std::string& folder);
  // Not told of any more, also of what was taken away a moment ago.
  void remove(const PodUid& uid);
  // The pod's cgroup was removed: told if another one lies at the path soon.
  void cgroup_gone(const PodUid& uid, CgroupId cgroup, std::string path);

 private:
  struct Gone {
    PodUid uid;
    CgroupId cgroup;
    std::string path;
    int looks = 0;
  };
  LinkWatch(UniqueFd inotify, UniqueFd wake, Observer observer);
  void run(const std::stop_token& stop);
  [[nodiscard]] std::vector<PodUid> read_vanished();
  [[nodiscard]] std::vector<PodUid> look_at_gone();
  [[nodiscard]] int patience();
  void wake() const;

  const UniqueFd inotify_, wake_;
  const Observer observer_;
  Mutex mu_;
  std::map<PodUid, int> watches_ PINTLE_GUARDED_BY(mu_);
  std::map<int, PodUid> uids_ PINTLE_GUARDED_BY(mu_);
  std::vector<Gone> gone_ PINTLE_GUARDED_BY(mu_);
  std::jthread thread_;
};

}  // namespace pintle::bpf
