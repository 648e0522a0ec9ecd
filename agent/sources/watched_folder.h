// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A folder, or a single file, that may not be there yet: waits until something in it is worth a look, until an audit is due, or until
// stopped. inotify on the folder and on its nearest parent that exists; what is being written is told of when closed. Not for what is to be
// read, nor for many folders at once (bpf/link_watch.h, cgroup/pod_cgroup_watch.h). Thread rule: arm() and wait() on one thread at a time;
// stop() from any.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"

namespace pintle::sources {

class WatchedFolder {
 public:
  enum class Woken { kChanged, kAudit, kStopped };
  // `passes_over`: names in the folder that are nobody's business; null: none. REQUIRES: `clock` outlives this.
  WatchedFolder(const Clock& clock, std::string path, std::function<bool(std::string_view)> passes_over = nullptr);

  // Before the first wait. kUnavailable: out of descriptors.
  [[nodiscard]] Status open();
  // Watches what is there now; before the look that it is for, so that nothing between the two is missed. Again when must_arm(), or to try
  // what failed: the error names the limit to raise. Without it waits end by the audit alone.
  [[nodiscard]] Status arm();
  [[nodiscard]] bool must_arm() const { return must_arm_; }
  [[nodiscard]] bool folder_is_watched() const { return folder_watch_ >= 0; }

  [[nodiscard]] Woken wait(SteadyTime audit);
  void stop() const;

  // Modified or made, and not closed since.
  [[nodiscard]] bool is_being_written(const std::string& name) const { return being_written_.contains(name); }
  void forget_writers() { being_written_.clear(); }

  [[nodiscard]] const std::string& path() const { return path_; }  // without a slash at its end
  [[nodiscard]] std::string own_name() const { return path_.substr(path_.rfind('/') + 1); }

 private:
  [[nodiscard]] bool drain();
  void take(uint32_t mask, bool of_folder, const std::string& name, bool& changed);

  const Clock& clock_;
  const std::string path_;
  const std::function<bool(std::string_view)> passes_over_;
  UniqueFd inotify_, wake_;
  int folder_watch_ = -1;     // of the folder itself; the other watch is of a parent
  bool single_file_ = false;  // the path is one, and its parent the folder
  bool must_arm_ = false;
  std::set<std::string> being_written_;
};

}  // namespace pintle::sources
