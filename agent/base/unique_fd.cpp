// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/unique_fd.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>

#include <fmt/format.h>

namespace pintle {

void UniqueFd::reset(int fd) {
  if (fd_ >= 0) (void)::close(fd_);  // EINTR leaves the descriptor closed on Linux: never retried
  fd_ = fd;
}

Result<DirFd> DirFd::open(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno(errno, fmt::format("open directory '{}'", path));
  return DirFd(std::move(fd));
}

Result<DirFd> DirFd::open_at(const DirFd& parent, const std::string& name) {
  UniqueFd fd(::openat(parent.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno(errno, fmt::format("open directory '{}'", name));
  return DirFd(std::move(fd));
}

namespace {

Result<std::string> read_all(const UniqueFd& fd, const std::string& name) {
  std::string content;
  char buffer[16384];
  for (;;) {
    const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, fmt::format("read '{}'", name));
    }
    if (n == 0) return content;
    content.append(buffer, static_cast<size_t>(n));
  }
}

Status write_all(const UniqueFd& fd, const std::string& name, std::string_view content) {
  while (!content.empty()) {
    const ssize_t n = ::write(fd.get(), content.data(), content.size());
    if (n < 0) {
      if (errno == EINTR) continue;
      return fail_errno(errno, fmt::format("write '{}'", name));
    }
    content.remove_prefix(static_cast<size_t>(n));
  }
  return {};
}

}  // namespace

Result<std::string> read_file(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno(errno, fmt::format("open '{}'", path));
  return read_all(fd, path);
}

Result<std::string> read_file_at(const DirFd& dir, const std::string& name) {
  UniqueFd fd(::openat(dir.get(), name.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno(errno, fmt::format("open '{}'", name));
  return read_all(fd, name);
}

Status write_file_at(const DirFd& dir, const std::string& name, std::string_view content) {
  UniqueFd fd(::openat(dir.get(), name.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.valid()) return fail_errno(errno, fmt::format("open '{}' for writing", name));
  return write_all(fd, name, content);
}

Status write_file_atomic(const std::string& path, std::string_view content, unsigned mode, Durability durability) {
  const std::string temporary = fmt::format("{}.tmp.{}", path, ::getpid());
  {
    UniqueFd fd(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
    if (!fd.valid()) return fail_errno(errno, fmt::format("create '{}'", temporary));
    if (::fchmod(fd.get(), mode) != 0) return fail_errno(errno, fmt::format("chmod '{}'", temporary));
    PINTLE_TRY(write_all(fd, temporary, content));
    if (durability == Durability::kSynced && ::fsync(fd.get()) != 0) return fail_errno(errno, fmt::format("fsync '{}'", temporary));
  }
  if (::rename(temporary.c_str(), path.c_str()) != 0) {
    const int err = errno;
    (void)::unlink(temporary.c_str());  // the rename's error is the one to report
    return fail_errno(err, fmt::format("rename '{}' to '{}'", temporary, path));
  }
  return {};
}

}  // namespace pintle
