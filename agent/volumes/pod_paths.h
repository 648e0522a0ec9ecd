// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Where a pod's files lie (facts rows 1.7, 14.3, 14.16, 9.18). Pure functions of the root directory.
//
//   ROOT/pods/UID/                                        0750
//     etc-hosts                                           the pod's /etc/hosts
//     containers/CONTAINER/<attempt>                      termination message of one attempt, 0666
//     volumes/kubernetes.io~<plugin>/VOLUME/              what is mounted into containers
//     plugins/kubernetes.io~empty-dir/VOLUME/ready        marker: set up once
//     volume-subpaths/VOLUME/CONTAINER/<index>            bind mounts of subPath
#pragma once

#include <string>

#include "model/status.h"

namespace pintle::volumes {

class PodPaths {
 public:
  PodPaths(const std::string& root, const std::string& uid) : pod_(root + "/pods/" + uid) {}

  [[nodiscard]] const std::string& pod() const { return pod_; }
  [[nodiscard]] std::string hosts() const { return pod_ + "/etc-hosts"; }
  [[nodiscard]] std::string containers() const { return pod_ + "/containers"; }
  [[nodiscard]] std::string message(const std::string& container, uint32_t attempt) const {
    return containers() + "/" + container + "/" + std::to_string(attempt);
  }
  [[nodiscard]] std::string volume(const std::string& plugin, const std::string& name) const {
    return pod_ + "/volumes/kubernetes.io~" + plugin + "/" + name;
  }
  [[nodiscard]] std::string marker_folder(const std::string& name) const { return pod_ + "/plugins/kubernetes.io~empty-dir/" + name; }
  [[nodiscard]] std::string sub_path(const std::string& volume, const std::string& container, size_t index) const {
    return pod_ + "/volume-subpaths/" + volume + "/" + container + "/" + std::to_string(index);
  }

 private:
  std::string pod_;
};

}  // namespace pintle::volumes
