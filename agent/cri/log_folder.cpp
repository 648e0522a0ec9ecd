// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "cri/log_folder.h"

#include <filesystem>

#include <fmt/format.h>

namespace pintle::cri {

Status make_log_folder(const model::SandboxConfig& pod, const std::string& log_path) {
  if (pod.log_directory.empty()) return {};
  const auto folder = (std::filesystem::path(pod.log_directory) / log_path).parent_path();
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (!error) return {};
  return fail_errno(error.value(), fmt::format("make the log folder '{}' of pod '{}/{}'", folder.string(), pod.namespace_, pod.name));
}

}  // namespace pintle::cri
