// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// UniqueFd owns a file descriptor; DirFd is one that is known to be a directory. Both are move-only and
// self-move safe; release() is the only way out. The only place of the agent that calls close(2).
// Thread rule: as a plain int.
#pragma once

#include <string>
#include <utility>

#include "base/result.h"

namespace pintle {

class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  ~UniqueFd() { reset(); }
  UniqueFd(const UniqueFd&) = delete;
  UniqueFd& operator=(const UniqueFd&) = delete;
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) reset(other.release());
    return *this;
  }

  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }
  [[nodiscard]] int release() { return std::exchange(fd_, -1); }
  void reset(int fd = -1);

 private:
  int fd_ = -1;
};

class DirFd {
 public:
  DirFd() = default;
  // kNotFound, kInvalid (not a directory). Opened O_DIRECTORY | O_CLOEXEC, read-only.
  [[nodiscard]] static Result<DirFd> open(const std::string& path);
  [[nodiscard]] static Result<DirFd> open_at(const DirFd& parent, const std::string& name);
  // REQUIRES: `fd` is an open directory.
  [[nodiscard]] static DirFd adopt(UniqueFd fd) { return DirFd(std::move(fd)); }

  [[nodiscard]] int get() const { return fd_.get(); }
  [[nodiscard]] bool valid() const { return fd_.valid(); }

 private:
  explicit DirFd(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

// Small whole-file helpers relative to a directory (or the process's root when `dir` is null).
[[nodiscard]] Result<std::string> read_file(const std::string& path);
[[nodiscard]] Result<std::string> read_file_at(const DirFd& dir, const std::string& name);
[[nodiscard]] Status write_file_at(const DirFd& dir, const std::string& name, std::string_view content);
// Writes to a temporary name beside `path`, then renames: readers see the old or the new content, never a part.
// kSynced survives a power cut; kCached is for files that are made anew after one.
enum class Durability { kSynced, kCached };
[[nodiscard]] Status write_file_atomic(const std::string& path, std::string_view content, unsigned mode,
                                       Durability durability = Durability::kSynced);

}  // namespace pintle
