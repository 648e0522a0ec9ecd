// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/bpffs.h"

#include <cerrno>

#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#include <fmt/format.h>

#include "bpf/pin.h"

namespace pintle::bpf {

bool is_bpffs(const std::string& path) {
  struct statfs fs{};
  return ::statfs(path.c_str(), &fs) == 0 && static_cast<unsigned long>(fs.f_type) == BPF_FS_MAGIC;
}

Status mount_bpffs(const std::string& path) {
  if (is_bpffs(path)) return {};
  if (::mount("bpf", path.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, "mode=0700") != 0)
    return fail_errno(errno, fmt::format("mount a bpffs at '{}'", path));
  return {};
}

Result<std::string> ensure_bpffs(const std::string& wanted, const std::string& own) {
  if (is_bpffs(wanted)) return wanted;
  if (own.empty()) return fail(Code::kUnsupported, fmt::format("'{}' is not a bpffs: mount -t bpf bpf {}", wanted, wanted));
  if (is_bpffs(own)) return own;
  PINTLE_TRY(make_pin_folder(own));
  if (::mount("bpf", own.c_str(), "bpf", MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_RELATIME, "mode=0700") != 0) {
    auto error = error_from_errno(errno, fmt::format("'{}' is not a bpffs; mount one at '{}'", wanted, own));
    error.code = Code::kUnsupported;
    return std::unexpected(std::move(error));
  }
  return own;
}

}  // namespace pintle::bpf
