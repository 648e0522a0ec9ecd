// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Finds the cgroups of pods that a kubelet owns, under whatever parent they lie, by looking and by inotify on the directories that lead
// to them; a full look each 10 s audits. Reads only: nothing in the tree is made or removed. In the hybrid layout the v2 tree is looked
// at, where the runtime makes a pod's directory together with its first container.
// A directory that is there already at the first look and holds no process is a left-over until it does, and is not told.
// Thread rule: one thread of its own between start() and stop(), which calls the outputs; find(), parents() and look_soon() from any
// thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "ports/pod_cgroup_finder.h"

namespace pintle::cgroup {

// Where a cgroup2 tree is mounted that shows the node's pods. `wanted` (a mount, or a folder of mounts that has "unified"), if given;
// else, of the cgroup2 mounts of `mountinfo`, the one that begins at the root of the hierarchy, or else one in which a kubepods lies:
// in a container the usual path shows the container's own cgroup namespace. kUnsupported names what was looked at.
[[nodiscard]] Result<std::string> find_node_tree(const std::string& wanted, const std::string& mountinfo = "/proc/self/mountinfo");

struct PodCgroupWatchOptions {
  std::string top;  // absolute: the mount, or a folder of it below which to look
  Duration audit = std::chrono::seconds(10);
};
struct PodCgroupWatchOutputs {
  std::function<void(const PodUid&)> appeared;
  std::function<void(const PodUid&)> vanished;
  // A kubepods directory, before any pod below it is told. Absolute.
  std::function<void(const std::string& kubepods)> parent;
  // One of its QoS classes' directories.
  std::function<void(const std::string& directory)> qos_class = {};
};

class PodCgroupWatch final : public ports::PodCgroupFinder {
 public:
  PodCgroupWatch(PodCgroupWatchOptions options, PodCgroupWatchOutputs outputs);
  ~PodCgroupWatch() override;

  // Looks once before it returns. kUnsupported: no inotify; kNotFound: no such tree.
  [[nodiscard]] Status start();
  void stop();  // idempotent

  // A full look at once instead of with the next audit: inotify may have no watch left, or be late. Any thread.
  void look_soon();

  [[nodiscard]] Result<std::optional<ports::FoundCgroup>> find(const PodUid& uid) override;
  [[nodiscard]] std::vector<std::string> parents();  // the kubepods directories there are

 private:
  enum class Kind { kAbove, kKubepods, kClass };
  struct Watched {
    std::string path;
    Kind kind = Kind::kAbove;
    int depth = 0;
  };
  struct Pod {
    std::string path;
    bool told = false;
  };

  void run(const std::stop_token& stop);
  void look_all();
  void look(const std::string& path, Kind kind, int depth);
  void meet(const std::string& path, const std::string& name, Kind parent, int depth);
  void meet_pod(const PodUid& uid, const std::string& path);
  [[nodiscard]] bool watch(const std::string& path, Kind kind, int depth);  // false: it is gone
  void forget_below(const std::string& path);
  void take_events();
  void drop_missing();

  const PodCgroupWatchOptions options_;
  const PodCgroupWatchOutputs out_;
  UniqueFd inotify_, wake_;
  // own thread (start() before it)
  std::map<int, Watched> watches_;
  std::map<std::string, int> numbers_;  // path -> watch
  std::set<std::string> told_parents_;
  bool first_look_ = true;

  Mutex mu_;
  std::map<PodUid, Pod> pods_ PINTLE_GUARDED_BY(mu_);
  std::set<std::string> parents_ PINTLE_GUARDED_BY(mu_);
  std::jthread thread_;
};

}  // namespace pintle::cgroup
