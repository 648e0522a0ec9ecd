// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/uninstall.h"

#include <cerrno>
#include <filesystem>

#include <sys/mount.h>
#include <unistd.h>

#include <fmt/format.h>

#include "bpf/bpffs.h"

namespace pintle::bpf {

bool has_pins(const LibbpfAttacher::Options& options) {
  const auto holds = [&](const std::string& bpffs) {
    std::error_code error;
    return !bpffs.empty() && is_bpffs(bpffs) && std::filesystem::exists(bpffs + "/" + options.folder, error);
  };
  return holds(options.bpffs) || holds(options.own_bpffs);
}

Status remove_pins(const LibbpfAttacher::Options& options) {
  for (const auto& bpffs : {options.bpffs, options.own_bpffs}) {
    if (bpffs.empty() || !is_bpffs(bpffs)) continue;
    std::error_code error;
    std::filesystem::remove_all(bpffs + "/" + options.folder, error);
    if (error) return fail_errno(error.value(), fmt::format("remove pins '{}/{}'", bpffs, options.folder));
  }
  if (options.own_bpffs.empty() || !is_bpffs(options.own_bpffs)) return {};
  if (::umount2(options.own_bpffs.c_str(), UMOUNT_NOFOLLOW) != 0) return fail_errno(errno, fmt::format("unmount '{}'", options.own_bpffs));
  if (::rmdir(options.own_bpffs.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, fmt::format("remove '{}'", options.own_bpffs));
  return {};
}

}  // namespace pintle::bpf
