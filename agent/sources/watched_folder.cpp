// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "sources/watched_folder.h"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fmt/format.h>

namespace pintle::sources {
namespace {

constexpr uint32_t kFolderMask =
    IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB;
constexpr uint32_t kParentMask = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string without_trailing_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

// A regular file that was just made is empty and will be closed; links and the like come whole.
bool will_be_written(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1 && info.st_size == 0;
}

}  // namespace

WatchedFolder::WatchedFolder(const Clock& clock, std::string path, std::function<bool(std::string_view)> passes_over)
    : clock_(clock), path_(without_trailing_slash(std::move(path))), passes_over_(std::move(passes_over)) {}

Status WatchedFolder::open() {
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return fail_errno(errno, fmt::format("watch '{}': eventfd", path_));
  return arm();
}

void WatchedFolder::stop() const {
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);  // ignoring: fails only when it is up already
}

Status WatchedFolder::arm() {
  must_arm_ = false;
  folder_watch_ = -1;
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_.valid()) return fail_errno(errno, fmt::format("watch '{}': inotify_init1: raise fs.inotify.max_user_instances", path_));
  const auto watch = [this](const std::string& path, uint32_t mask) { return ::inotify_add_watch(inotify_.get(), path.c_str(), mask); };
  const auto refused = [](const std::string& path) {
    return fail_errno(errno, fmt::format("watch '{}'{}", path, errno == ENOSPC ? ": raise fs.inotify.max_user_watches" : ""));
  };
  struct stat info{};
  const bool exists = ::stat(path_.c_str(), &info) == 0;
  single_file_ = exists && !S_ISDIR(info.st_mode);
  if (exists && !single_file_) {
    folder_watch_ = watch(path_, kFolderMask | IN_ONLYDIR);
    if (folder_watch_ < 0 && errno == ENOSPC) return refused(path_);
  }
  std::string parent = parent_of(path_);
  while (watch(parent, single_file_ ? kFolderMask : kParentMask) < 0) {
    if (errno == ENOSPC || parent == "/" || parent == ".") return refused(parent);
    parent = parent_of(parent);
  }
  return {};
}

WatchedFolder::Woken WatchedFolder::wait(SteadyTime audit) {
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(audit - clock_.steady()).count();
    pollfd fds[2] = {{inotify_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    const int n = ::poll(fds, 2, static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX)));
    if (n < 0 && errno != EINTR) return Woken::kStopped;  // EFAULT and EINVAL: neither can be
    if (fds[1].revents != 0) return Woken::kStopped;
    const bool changed = n > 0 && fds[0].revents != 0 && drain();
    if (clock_.steady() >= audit) return Woken::kAudit;
    if (changed) return Woken::kChanged;
  }
}

// True when something happened that a look may see.
bool WatchedFolder::drain() {
  alignas(inotify_event) char buffer[16384];
  bool changed = false;
  for (;;) {
    const ssize_t n = ::read(inotify_.get(), buffer, sizeof buffer);
    if (n <= 0) return changed;
    for (const char* at = buffer; at < buffer + n;) {
      inotify_event event;
      std::memcpy(&event, at, sizeof event);
      const std::string name = event.len > 0 ? std::string(at + sizeof event) : std::string();
      at += sizeof event + event.len;
      take(event.mask, event.wd == folder_watch_, name, changed);
    }
  }
}

void WatchedFolder::take(uint32_t mask, bool of_folder, const std::string& name, bool& changed) {
  if ((mask & (IN_Q_OVERFLOW | IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) != 0) {
    changed = must_arm_ = true;
    return;
  }
  if (of_folder && passes_over_ && passes_over_(name)) return;
  if (!of_folder) {
    if ((folder_is_watched() || single_file_) && name != own_name()) return;  // a neighbour
    if ((mask & (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)) != 0) must_arm_ = true;
    if (!single_file_) {  // the folder, or a parent of it, came or went
      changed = true;
      return;
    }
  }
  if ((mask & (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)) != 0) being_written_.erase(name);
  const bool begun = (mask & IN_MODIFY) != 0 || ((mask & IN_CREATE) != 0 && will_be_written(of_folder ? path_ + "/" + name : path_));
  if (begun)
    being_written_.insert(name);
  else
    changed = true;
}

}  // namespace pintle::sources
