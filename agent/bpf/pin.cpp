// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/pin.h"

#include <cerrno>
#include <cstdio>
#include <memory>

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace pintle::bpf {

Status make_pin_folder(const std::string& path) {
  if (::mkdir(path.c_str(), 0700) == 0 || errno == EEXIST) return {};
  const size_t end = path.rfind('/');
  if (errno != ENOENT || end == std::string::npos || end == 0) return fail_errno(errno, fmt::format("make folder '{}'", path));
  PINTLE_TRY(make_pin_folder(path.substr(0, end)));
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return fail_errno(errno, fmt::format("make folder '{}'", path));
  return {};
}

Status unpin(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, fmt::format("unpin '{}'", path));
  return {};
}

Result<std::vector<std::string>> list_pins(const std::string& path) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(path.c_str()), ::closedir);
  if (!dir) return fail_errno(errno, fmt::format("open folder '{}'", path));
  std::vector<std::string> names;
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir.get());
    if (entry == nullptr) break;
    if (entry->d_name[0] != '.') names.emplace_back(entry->d_name);  // bpffs has no other names with dots
  }
  if (errno != 0) return fail_errno(errno, fmt::format("read folder '{}'", path));
  return names;
}

Status remove_pin_folder(const std::string& path) {
  auto names = list_pins(path);
  if (!names) {
    if (names.error().code == Code::kNotFound) return {};
    return std::unexpected(std::move(names).error());
  }
  for (const auto& name : *names) PINTLE_TRY(unpin(path + "/" + name));
  if (::rmdir(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, fmt::format("remove folder '{}'", path));
  return {};
}

Result<PendingPins> PendingPins::create(const std::string& path) {
  PINTLE_TRY(remove_pin_folder(path));
  PINTLE_TRY(make_pin_folder(path));
  return PendingPins(path);
}

PendingPins& PendingPins::operator=(PendingPins&& other) noexcept {
  if (this != &other) {
    drop();
    path_ = std::move(other.path_);
    other.path_.clear();
  }
  return *this;
}

Status PendingPins::commit(const std::string& final_path) {
  if (::rename(path_.c_str(), final_path.c_str()) != 0) return fail_errno(errno, fmt::format("rename '{}' to '{}'", path_, final_path));
  path_.clear();
  return {};
}

void PendingPins::drop() {
  if (path_.empty()) return;
  (void)remove_pin_folder(path_);  // ignoring: the next attach or start removes it again
  path_.clear();
}

}  // namespace pintle::bpf
