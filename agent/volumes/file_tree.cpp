// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "volumes/file_tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <vector>

#include <fmt/format.h>

namespace pintle::volumes {
namespace {

// The mount points at or below `path`, as the kernel lists them, deepest first.
Result<std::vector<std::string>> mounts_below(const std::string& path) {
  PINTLE_ASSIGN_OR_RETURN(const std::string table, read_file("/proc/self/mountinfo"));
  std::vector<std::string> found;
  for (size_t start = 0; start < table.size();) {
    const size_t end = std::min(table.find('\n', start), table.size());
    std::string_view line(table.data() + start, end - start);
    start = end + 1;
    for (int field = 0; field < 4 && !line.empty(); ++field) line.remove_prefix(std::min(line.find(' ') + 1, line.size()));
    const std::string_view escaped = line.substr(0, line.find(' '));
    std::string point;  // octal escapes for blanks: \040
    for (size_t i = 0; i < escaped.size(); ++i) {
      if (escaped[i] == '\\' && i + 3 < escaped.size()) {
        point += static_cast<char>((escaped[i + 1] - '0') * 64 + (escaped[i + 2] - '0') * 8 + (escaped[i + 3] - '0'));
        i += 3;
      } else {
        point += escaped[i];
      }
    }
    if (point == path || point.starts_with(path + "/")) found.push_back(std::move(point));
  }
  std::ranges::reverse(found);  // later mounts lie on top of or below earlier ones
  std::ranges::stable_sort(found, std::greater{}, &std::string::size);
  return found;
}

Status remove_tree_at(int parent, const std::string& name, dev_t device);

// Takes the open directory over.
Status empty_directory(UniqueFd directory, const std::string& name, dev_t device) {
  const int fd = directory.get();
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::fdopendir(fd), ::closedir);
  if (!dir) return fail_errno(errno, fmt::format("read directory '{}'", name));
  (void)directory.release();  // dir's now
  for (const dirent* entry = ::readdir(dir.get()); entry != nullptr; entry = ::readdir(dir.get())) {
    const std::string_view child(entry->d_name);
    if (child == "." || child == "..") continue;
    PINTLE_TRY(remove_tree_at(fd, std::string(child), device));
  }
  return {};
}

Status remove_tree_at(int parent, const std::string& name, dev_t device) {
  struct stat info{};
  if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0)
    return errno == ENOENT ? Status{} : fail_errno(errno, fmt::format("stat '{}'", name));
  if (!S_ISDIR(info.st_mode)) {
    if (::unlinkat(parent, name.c_str(), 0) != 0 && errno != ENOENT) return fail_errno(errno, fmt::format("delete '{}'", name));
    return {};
  }
  if (info.st_dev != device) return fail(Code::kUnavailable, fmt::format("'{}' is still a mount point; left alone", name));
  UniqueFd directory(::openat(parent, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid()) return fail_errno(errno, fmt::format("open directory '{}'", name));
  PINTLE_TRY(empty_directory(std::move(directory), name, device));
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT)
    return fail_errno(errno, fmt::format("delete directory '{}'", name));
  return {};
}

Status unmount_below(const std::string& path) {
  PINTLE_ASSIGN_OR_RETURN(const auto mounts, mounts_below(path));
  for (const auto& point : mounts) {
    if (::umount2(point.c_str(), UMOUNT_NOFOLLOW) != 0 && errno != EINVAL && errno != ENOENT)
      return fail_errno(errno, fmt::format("unmount '{}'", point));
  }
  return {};
}

UniqueFd open_beneath_at(int root, const std::string& path, uint64_t flags) {
  struct open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
  return UniqueFd(static_cast<int>(::syscall(SYS_openat2, root, path.c_str(), &how, sizeof how)));
}

}  // namespace

Status make_directories(const std::string& path, unsigned mode) {
  for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
    const std::string part = path.substr(0, slash);
    if (::mkdir(part.c_str(), mode) == 0) {
      if (::chmod(part.c_str(), mode) != 0) return fail_errno(errno, fmt::format("chmod '{}'", part));
    } else if (errno != EEXIST) {
      return fail_errno(errno, fmt::format("make directory '{}'", part));
    }
    if (slash == std::string::npos) return {};
  }
}

Result<bool> is_mount_point(const std::string& path) {
  PINTLE_ASSIGN_OR_RETURN(const auto mounts, mounts_below(path));
  return std::ranges::find(mounts, path) != mounts.end();
}

Status mount_tmpfs(const std::string& path, const std::string& options) {
  // noswap (kernel 6.3) keeps secrets off disk; older kernels refuse the word and go without.
  const std::string with_noswap = options + ",noswap";
  if (::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, with_noswap.c_str()) == 0) return {};
  if (errno == EINVAL && ::mount("tmpfs", path.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()) == 0) return {};
  return fail_errno(errno, fmt::format("mount tmpfs on '{}'", path));
}

Status bind_mount(const std::string& source, const std::string& target) {
  if (::mount(source.c_str(), target.c_str(), nullptr, MS_BIND | MS_REC, nullptr) != 0)
    return fail_errno(errno, fmt::format("bind '{}' to '{}'", source, target));
  return {};
}

Status unmount_and_remove(const std::string& path) {
  PINTLE_TRY(unmount_below(path));
  return remove_tree(path);
}

Status unmount_and_empty(const std::string& path) {
  PINTLE_TRY(unmount_below(path));
  UniqueFd directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!directory.valid()) return errno == ENOENT ? Status{} : fail_errno(errno, fmt::format("open directory '{}'", path));
  struct stat info{};
  if (::fstat(directory.get(), &info) != 0) return fail_errno(errno, fmt::format("stat '{}'", path));
  if (auto emptied = empty_directory(std::move(directory), path, info.st_dev); !emptied)
    return std::unexpected(with_context(emptied.error(), fmt::format("empty '{}'", path)));
  return {};
}

Status remove_tree(const std::string& path) {
  const size_t slash = path.rfind('/');
  auto parent = DirFd::open(slash == 0 ? "/" : path.substr(0, slash));
  if (!parent) return parent.error().code == Code::kNotFound ? Status{} : std::unexpected(parent.error());
  struct stat info{};
  if (::fstat(parent->get(), &info) != 0) return fail_errno(errno, fmt::format("stat parent of '{}'", path));
  if (auto removed = remove_tree_at(parent->get(), path.substr(slash + 1), info.st_dev); !removed)
    return std::unexpected(with_context(removed.error(), fmt::format("remove '{}'", path)));
  return {};
}

Result<UniqueFd> open_beneath(const std::string& root, const std::string& relative, unsigned mode) {
  PINTLE_ASSIGN_OR_RETURN(const DirFd base, DirFd::open(root));
  const auto escaped = [&] {
    return fail(Code::kInvalid, fmt::format("subPath '{}' leads out of its volume; it must stay below it and use no '..'", relative));
  };
  if (relative.starts_with('/') || relative == ".." || relative.starts_with("../") || relative.find("/../") != std::string::npos ||
      relative.ends_with("/.."))
    return escaped();
  if (UniqueFd fd = open_beneath_at(base.get(), relative, O_PATH); fd.valid()) return fd;
  if (errno == EXDEV || errno == ELOOP) return escaped();
  if (errno != ENOENT) return fail_errno(errno, fmt::format("open subPath '{}'", relative));
  // Make what is missing, one component at a time, each opened beneath the root before the next is made in it.
  UniqueFd current = open_beneath_at(base.get(), ".", O_RDONLY | O_DIRECTORY);
  std::string walked;
  for (size_t start = 0; start < relative.size();) {
    const size_t end = std::min(relative.find('/', start), relative.size());
    const std::string name = relative.substr(start, end - start);
    start = end + 1;
    if (name.empty() || name == ".") continue;
    if (!current.valid()) return fail_errno(errno, fmt::format("open subPath '{}'", relative));
    if (::mkdirat(current.get(), name.c_str(), mode) == 0) {
      if (::fchmodat(current.get(), name.c_str(), mode, 0) != 0) return fail_errno(errno, fmt::format("chmod '{}' of subPath", name));
    } else if (errno != EEXIST) {
      return fail_errno(errno, fmt::format("make directory '{}' of subPath '{}'", name, relative));
    }
    walked += (walked.empty() ? "" : "/") + name;
    UniqueFd next = open_beneath_at(base.get(), walked, O_RDONLY | O_DIRECTORY);
    if (!next.valid())
      return errno == EXDEV || errno == ELOOP ? Result<UniqueFd>(escaped()) : fail_errno(errno, fmt::format("open subPath '{}'", walked));
    current = std::move(next);
  }
  return current;
}

}  // namespace pintle::volumes
