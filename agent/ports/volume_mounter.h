// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to a pod's files on the node: its directory, volumes, /etc/hosts and termination-message files.
// Thread rule: any thread; calls for one pod are serial by the caller.
// Errors: kNotFound (a ConfigMap or Secret that is not there yet: retry), kInvalid, kUnsupported (volume kind), kUnavailable.
#pragma once

#include <map>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/runtime.h"
#include "model/status.h"

namespace pintle::ports {

// Objects that a pod's volumes and environment refer to, already fetched.
struct PreparedVolumes {
  std::map<std::string, std::string> host_paths;  // volume name -> directory or file on the host
  std::string kept;                               // why some show what they did before: the API could not be asked
};

// What a pod's volumes may need to know of the node and of the pod's state.
struct VolumeContext {
  std::string node_name;
  std::vector<std::string> host_ips, pod_ips;
  model::ResourceList allocatable;
  std::string hosts_file;  // content of the pod's /etc/hosts; empty: none is made
};

class VolumeMounter {
 public:
  virtual ~VolumeMounter() = default;

  // Makes the pod's directory and every volume of the spec. Idempotent; refreshes configMap, secret, projected and downward files.
  [[nodiscard]] virtual Result<PreparedVolumes> mount(const model::Pod& pod, const VolumeContext& context, std::stop_token stop) = 0;
  // The mounts of one container, in the order of facts row 17.10: volumes (subPath resolved), /etc/hosts, termination log.
  // Creates the termination-message file of this attempt (0666, row 9.18). `envs` expands subPathExpr.
  [[nodiscard]] virtual Result<std::vector<model::Mount>> container_mounts(
      const model::Pod& pod, const model::Container& container, uint32_t attempt, const VolumeContext& context,
      const PreparedVolumes& volumes, const std::vector<std::pair<std::string, std::string>>& envs) = 0;
  // The text a container left (row 6.16); empty if none. `log_path` is absolute.
  [[nodiscard]] virtual std::string termination_message(const model::Pod& pod, const model::Container& container,
                                                        const model::ObservedContainer& dead) = 0;
  // Unmounts and deletes all of the pod's files; never crosses a mount point. Absent is success. Its directory stays, empty: the record
  // that the pod was here, for as long as anything else of it is.
  [[nodiscard]] virtual Status unmount(const PodUid& uid) = 0;
  // Deletes the directory, and whatever has come into it since unmount(). Absent is success.
  [[nodiscard]] virtual Status remove_folder(const PodUid& uid) = 0;
  // Pods that have a directory.
  [[nodiscard]] virtual Result<std::vector<PodUid>> list_pods() = 0;
};

}  // namespace pintle::ports
