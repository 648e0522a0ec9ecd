// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "sources/file_source.h"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>

#include <fmt/format.h>

#include "base/heap.h"

namespace pintle::sources {
namespace {

constexpr uint32_t kFolderMask =
    IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB;
constexpr uint32_t kParentMask = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr off_t kMaxManifest = off_t{10} << 20;

bool passed_over(std::string_view name) {
  if (name.empty() || name.front() == '.') return true;
  for (const std::string_view suffix : {"~", ".swp", ".swx", ".swo", ".tmp", ".bak", ".orig", ".rej"})
    if (name.ends_with(suffix)) return true;
  return (name.front() == '#' && name.back() == '#') || name == "4913";  // what emacs and vim probe with
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

std::string without_trailing_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

}  // namespace

FileSource::FileSource(const Clock& clock, FileSourceOptions options)
    : clock_(clock),
      options_{.path = without_trailing_slash(std::move(options.path)), .node_name = std::move(options.node_name), .audit = options.audit},
      set_("file", options_.node_name) {}
FileSource::~FileSource() { stop(); }

Status FileSource::start(ports::PodSink& sink) {
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return fail_errno(errno, "watch manifests: eventfd");
  sink_ = &sink;
  PINTLE_TRY(rearm());
  thread_ = std::jthread([this] { run(); });
  return {};
}

void FileSource::stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);  // cannot fail: one write in its life
  thread_.join();
}

// A new inotify instance with watches on the folder, if there, and on the nearest parent that exists. Watches come before
// the look, so that nothing between the two is missed.
Status FileSource::rearm() {
  must_rearm_ = false;
  folder_watch_ = -1;
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_.valid()) return fail_errno(errno, "watch manifests: inotify_init1");
  struct stat info{};
  const bool exists = ::stat(options_.path.c_str(), &info) == 0;
  if (exists && S_ISDIR(info.st_mode)) folder_watch_ = ::inotify_add_watch(inotify_.get(), options_.path.c_str(), kFolderMask);
  std::string parent = parent_of(options_.path);
  const uint32_t mask = exists && !S_ISDIR(info.st_mode) ? kFolderMask : kParentMask;  // of a single file its parent is the folder
  while (::inotify_add_watch(inotify_.get(), parent.c_str(), mask) < 0) {
    if (errno == ENOSPC) return fail_errno(errno, fmt::format("watch '{}': raise fs.inotify.max_user_watches", parent));
    if (parent == "/" || parent == ".") return fail_errno(errno, fmt::format("watch '{}'", parent));
    parent = parent_of(parent);
  }
  return {};
}

void FileSource::run() {
  look(Look::kAudit);
  SteadyTime next_audit = clock_.steady() + options_.audit;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_audit - clock_.steady()).count();
    pollfd fds[2] = {{inotify_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    const int n = ::poll(fds, 2, static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX)));
    if (n < 0 && errno != EINTR) return;  // EFAULT and EINVAL: neither can be
    if (fds[1].revents != 0) return;
    const bool changed = n > 0 && fds[0].revents != 0 && drain_events();
    const bool audit = clock_.steady() >= next_audit;
    if (audit) next_audit = clock_.steady() + options_.audit;
    if (!changed && !audit) continue;
    if (must_rearm_ || audit) {
      // Without inotify the audit goes on; the problem is told and the next audit tries again.
      auto armed = rearm();
      const std::string problem = armed ? "" : armed.error().context;
      if (problem != source_problem_) sink_->deliver(name(), ports::PodProblem{options_.path, problem});
      source_problem_ = problem;
    }
    look(audit ? Look::kAudit : Look::kEvents);
  }
}

// True when something happened that a look may see.
bool FileSource::drain_events() {
  alignas(inotify_event) char buffer[16384];
  bool changed = false;
  const std::string own_name = options_.path.substr(options_.path.rfind('/') + 1);
  for (;;) {
    const ssize_t n = ::read(inotify_.get(), buffer, sizeof buffer);
    if (n <= 0) return changed;
    for (const char* at = buffer; at < buffer + n;) {
      inotify_event event;
      std::memcpy(&event, at, sizeof event);
      const std::string file = event.len > 0 ? std::string(at + sizeof event) : std::string();
      at += sizeof event + event.len;
      if ((event.mask & (IN_Q_OVERFLOW | IN_IGNORED | IN_DELETE_SELF | IN_MOVE_SELF)) != 0) {
        changed = must_rearm_ = true;
        continue;
      }
      const bool in_folder = event.wd == folder_watch_;
      if (!in_folder && folder_watch_ >= 0 && file != own_name) continue;  // a neighbour of the folder
      if (!in_folder) must_rearm_ |= (event.mask & (IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)) != 0;
      if (in_folder && passed_over(file)) continue;
      if ((event.mask & (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)) != 0) being_written_.erase(file);
      if ((event.mask & IN_MODIFY) != 0) {
        being_written_.insert(file);
        continue;
      }
      if (in_folder && (event.mask & IN_CREATE) != 0) {
        // A regular file is empty yet and will be closed; links and the like come whole.
        struct stat info{};
        const bool alone = ::lstat((options_.path + "/" + file).c_str(), &info) == 0 && S_ISREG(info.st_mode) && info.st_nlink == 1;
        if (alone && info.st_size == 0) continue;
      }
      changed = true;
    }
  }
}

void FileSource::look(Look kind) {
  if (kind == Look::kAudit) being_written_.clear();  // a writer that never closes is read as it stands
  set_.begin();
  struct stat info{};
  if (::stat(options_.path.c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return deliver(set_.finish());
    return keep_all(error_from_errno(errno, fmt::format("stat '{}'", options_.path)));
  }
  if (!S_ISDIR(info.st_mode)) {
    look_at(options_.path, options_.path.substr(options_.path.rfind('/') + 1));
    deliver(set_.finish());
    return;
  }
  struct CloseFolder {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, CloseFolder> dir(::opendir(options_.path.c_str()));
  if (!dir) return keep_all(error_from_errno(errno, fmt::format("open folder '{}'", options_.path)));
  std::set<std::string> present;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (passed_over(name)) continue;
    const std::string path = options_.path + "/" + name;
    present.insert(path);
    look_at(path, name);
  }
  std::erase_if(read_, [&](const auto& seen) { return !present.contains(seen.first); });
  deliver(set_.finish());
}

// A folder we can't see into says nothing about its pods.
void FileSource::keep_all(const Error& why) {
  for (const auto& [path, signature] : read_) set_.keep(path);
  set_.complain(options_.path, why.context);
  deliver(set_.finish());
}

void FileSource::look_at(const std::string& path, const std::string& name) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) {
    if (errno == ENOENT) return;  // went between readdir and here, or a dangling link
    set_.complain(path, error_from_errno(errno, fmt::format("stat '{}'", path)).context);
    return;
  }
  if (S_ISDIR(info.st_mode)) return;
  if (!S_ISREG(info.st_mode)) return set_.complain(path, fmt::format("{}: not a regular file", path));
  if (info.st_size > kMaxManifest)
    return set_.complain(path, fmt::format("{}: {} bytes; a manifest may have {}", path, info.st_size, kMaxManifest));
  const Signature signature{info.st_dev,         info.st_ino,
                            info.st_size,        info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec,
                            info.st_ctim.tv_sec, info.st_ctim.tv_nsec};
  const auto seen = read_.find(path);
  const bool known = seen != read_.end();
  if (being_written_.contains(name) || (known && seen->second == signature)) return set_.keep(path);
  read_into_set(path, signature);
  give_back_heap();  // a few bytes of YAML can be a large tree for a moment
}

void FileSource::read_into_set(const std::string& path, const Signature& signature) {
  auto text = read_file(path);
  if (!text && text.error().code == Code::kNotFound) return;
  if (!text) return set_.complain(path, text.error().context);
  set_.put(path, *text, clock_.now());
  read_[path] = signature;
}

void FileSource::deliver(std::vector<ports::PodChange> changes) {
  for (auto& change : changes) sink_->deliver(name(), std::move(change));
}

}  // namespace pintle::sources
