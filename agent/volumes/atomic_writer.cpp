// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "volumes/atomic_writer.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <memory>
#include <set>
#include <vector>

#include <fmt/format.h>

#include "base/unique_fd.h"
#include "volumes/file_tree.h"

namespace pintle::volumes {
namespace {

Status check_path(const std::string& path) {
  if (path.empty() || path.starts_with('/') || path.starts_with("..") || path.find("/../") != std::string::npos || path.ends_with("/.."))
    return fail(Code::kInvalid, fmt::format("file path '{}' must be relative and must not use '..'", path));
  return {};
}

std::string top_level(const std::string& path) { return path.substr(0, path.find('/')); }

std::string read_link(const std::string& path) {
  char target[4096];
  const ssize_t length = ::readlink(path.c_str(), target, sizeof target);
  return length < 0 ? std::string() : std::string(target, static_cast<size_t>(length));
}

// Whether the folder holds exactly the payload.
bool holds(const std::string& folder, const std::string& prefix, const Payload& payload, size_t& seen) {
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir((folder + "/" + prefix).c_str()), ::closedir);
  if (!dir) return false;
  for (const dirent* entry = ::readdir(dir.get()); entry != nullptr; entry = ::readdir(dir.get())) {
    const std::string name(entry->d_name);
    if (name == "." || name == "..") continue;
    const std::string path = prefix.empty() ? name : prefix + "/" + name;
    struct stat info{};
    if (::lstat((folder + "/" + path).c_str(), &info) != 0) return false;
    if (S_ISDIR(info.st_mode)) {
      if (!holds(folder, path, payload, seen)) return false;
      continue;
    }
    const auto wanted = payload.find(path);
    if (wanted == payload.end() || (info.st_mode & 0777) != wanted->second.mode) return false;
    const auto data = read_file(folder + "/" + path);
    if (!data || *data != wanted->second.data) return false;
    ++seen;
  }
  return true;
}

Status write_files(const std::string& folder, const Payload& payload, std::optional<int64_t> group) {
  for (const auto& [path, file] : payload) {
    if (const auto slash = path.rfind('/'); slash != std::string::npos)
      PINTLE_TRY(make_directories(folder + "/" + path.substr(0, slash), 0755));
    const std::string full = folder + "/" + path;
    UniqueFd fd(::open(full.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, file.mode));
    if (!fd.valid()) return fail_errno(errno, fmt::format("create '{}'", full));
    std::string_view rest = file.data;
    while (!rest.empty()) {
      const ssize_t n = ::write(fd.get(), rest.data(), rest.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_errno(errno, fmt::format("write '{}'", full));
      rest.remove_prefix(static_cast<size_t>(n));
    }
    if (group && ::fchown(fd.get(), static_cast<uid_t>(-1), static_cast<gid_t>(*group)) != 0)
      return fail_errno(errno, fmt::format("chown '{}'", full));
    if (::fchmod(fd.get(), file.mode) != 0) return fail_errno(errno, fmt::format("chmod '{}'", full));
  }
  return {};
}

Status point(const std::string& link, const std::string& target) {
  const std::string temporary = link + "_tmp";
  (void)::unlink(temporary.c_str());  // left by a crash, or absent
  if (::symlink(target.c_str(), temporary.c_str()) != 0) return fail_errno(errno, fmt::format("link '{}'", temporary));
  if (::rename(temporary.c_str(), link.c_str()) != 0) return fail_errno(errno, fmt::format("rename '{}'", temporary));
  return {};
}

// User-visible links for the payload's names; links of names that are gone, and dated folders that are no longer current, go.
Status tidy(const std::string& volume, const Payload& payload, const std::string& current) {
  std::set<std::string> names;
  for (const auto& [path, file] : payload) names.insert(top_level(path));
  for (const auto& name : names) {
    const std::string target = "..data/" + name;
    if (read_link(volume + "/" + name) != target) PINTLE_TRY(point(volume + "/" + name, target));
  }
  const std::unique_ptr<DIR, int (*)(DIR*)> dir(::opendir(volume.c_str()), ::closedir);
  if (!dir) return fail_errno(errno, fmt::format("read directory '{}'", volume));
  std::vector<std::string> stale;
  for (const dirent* entry = ::readdir(dir.get()); entry != nullptr; entry = ::readdir(dir.get())) {
    const std::string name(entry->d_name);
    if (name == "." || name == ".." || name == "..data" || name == current || names.contains(name)) continue;
    stale.push_back(name);
  }
  for (const auto& name : stale) PINTLE_TRY(unmount_and_remove(volume + "/" + name));
  return {};
}

}  // namespace

Result<bool> write_payload(const std::string& volume, const Payload& payload, std::optional<int64_t> group, Time now) {
  for (const auto& [path, file] : payload) PINTLE_TRY(check_path(path));
  const std::string current = read_link(volume + "/..data");
  size_t seen = 0;
  if (!current.empty() && holds(volume + "/" + current, "", payload, seen) && seen == payload.size()) {
    PINTLE_TRY(tidy(volume, payload, current));
    return false;
  }
  // "..2026_11_22_23_49_27.123456789": never the current folder's name, since time has passed since it was made.
  std::string folder = ".." + format_rfc3339_nano(now);
  for (char& c : folder)
    if (c == '-' || c == ':' || c == 'T' || c == 'Z') c = '_';
  while (folder == current) folder += "_";
  PINTLE_TRY(unmount_and_remove(volume + "/" + folder));
  PINTLE_TRY(make_directories(volume + "/" + folder, 0755));
  PINTLE_TRY(write_files(volume + "/" + folder, payload, group));
  PINTLE_TRY(point(volume + "/..data", folder));
  PINTLE_TRY(tidy(volume, payload, folder));
  return true;
}

}  // namespace pintle::volumes
