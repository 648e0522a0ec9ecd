// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The logs of pods as files and links. Contract: ports/pod_logs.h.
//
//   POD_LOGS/NAMESPACE_POD_UID/CONTAINER/ATTEMPT.log[.*]              written by the runtime
//   CONTAINER_LOGS/POD_NAMESPACE_CONTAINER-ID.log                     a link to it
#pragma once

#include <string>
#include <string_view>

#include "ports/pod_logs.h"

namespace pintle::volumes {

// The link's name as a kubelet makes it: at most 255 bytes, of which the suffix is kept.
[[nodiscard]] std::string log_link_name(const ports::LogTarget& log, std::string_view id);

class PodLogFiles final : public ports::PodLogs {
 public:
  // Both absolute; `container_logs` empty: no links are made, and none is looked for. It is made when it is needed.
  PodLogFiles(std::string pod_logs, std::string container_logs)
      : pod_logs_(std::move(pod_logs)), container_logs_(std::move(container_logs)) {}

  [[nodiscard]] Status link(const ports::LogTarget& log, const ContainerId& id) override;
  [[nodiscard]] Status remove_container(const ports::LogTarget& log, const ContainerId& id) override;
  [[nodiscard]] Status remove_pod(const ports::LogOwner& pod) override;

 private:
  [[nodiscard]] Result<std::string> folder_of(const ports::LogOwner& pod) const;
  [[nodiscard]] Result<std::string> find_folder(const std::string& uid) const;
  [[nodiscard]] Status remove_links(const std::string& folder) const;

  const std::string pod_logs_, container_logs_;
};

}  // namespace pintle::volumes
