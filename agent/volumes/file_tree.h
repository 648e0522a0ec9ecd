// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Directories, mounts and their removal, with the two guarantees volumes need: nothing is followed out of a volume, and
// nothing is deleted across a mount point. Thread rule: any thread; one tree, one caller. Errors: errno kept.
#pragma once

#include <string>

#include "base/result.h"
#include "base/unique_fd.h"

namespace pintle::volumes {

// mkdir -p with `mode` for what is made, whatever the umask.
[[nodiscard]] Status make_directories(const std::string& path, unsigned mode);

[[nodiscard]] Result<bool> is_mount_point(const std::string& path);
[[nodiscard]] Status mount_tmpfs(const std::string& path, const std::string& options);
[[nodiscard]] Status bind_mount(const std::string& source, const std::string& target);

// Unmounts everything at and below `path` (deepest first), then deletes it, or what is in it. Absent is success.
// kUnavailable when something stays busy; nothing behind a mount that could not be removed is touched.
[[nodiscard]] Status unmount_and_remove(const std::string& path);
[[nodiscard]] Status unmount_and_empty(const std::string& path);
// Deletes what has no mounts below it. Absent is success; kUnavailable at a mount point.
[[nodiscard]] Status remove_tree(const std::string& path);

// Opens `relative` below `root` without leaving it: no "..", no symlink out (openat2 RESOLVE_IN_ROOT semantics refused, BENEATH used;
// kernel 5.6). Makes missing directories with `mode`. kInvalid when the path would leave the volume.
[[nodiscard]] Result<UniqueFd> open_beneath(const std::string& root, const std::string& relative, unsigned mode);

}  // namespace pintle::volumes
