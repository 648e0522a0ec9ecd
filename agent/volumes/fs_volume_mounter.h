// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The volumes of pods as directories, tmpfs and bind mounts under the agent's root. Kinds: emptyDir (default, Memory), hostPath,
// configMap, secret, downwardAPI, projected. Others are refused by name. Contract: ports/volume_mounter.h.
#pragma once

#include <string>

#include "base/time.h"
#include "ports/object_reader.h"
#include "ports/volume_mounter.h"
#include "volumes/payload.h"

namespace pintle::volumes {

class FsVolumeMounter final : public ports::VolumeMounter {
 public:
  // REQUIRES: `objects` and `clock` outlive this. `root` is absolute.
  FsVolumeMounter(std::string root, ports::ObjectReader& objects, const Clock& clock);

  [[nodiscard]] Result<ports::PreparedVolumes> mount(const model::Pod& pod, const ports::VolumeContext& context,
                                                     std::stop_token stop) override;
  [[nodiscard]] Result<std::vector<model::Mount>> container_mounts(const model::Pod& pod, const model::Container& container,
                                                                   uint32_t attempt, const ports::VolumeContext& context,
                                                                   const ports::PreparedVolumes& volumes,
                                                                   const std::vector<std::pair<std::string, std::string>>& envs) override;
  [[nodiscard]] std::string termination_message(const model::Pod& pod, const model::Container& container,
                                                const model::ObservedContainer& dead) override;
  [[nodiscard]] Status unmount(const PodUid& uid) override;
  [[nodiscard]] Status remove_folder(const PodUid& uid) override;
  [[nodiscard]] Result<std::vector<PodUid>> list_pods() override;

 private:
  [[nodiscard]] Result<std::string> mount_volume(const model::Pod& pod, const model::Volume& volume, const ports::VolumeContext& context,
                                                 const std::stop_token& stop, std::string& kept);

  const std::string root_;
  ports::ObjectReader& objects_;
  const Clock& clock_;
  TokenCache tokens_;
};

}  // namespace pintle::volumes
