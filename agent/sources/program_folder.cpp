// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "sources/program_folder.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <filesystem>

#include <fmt/format.h>

#include "base/heap.h"
#include "codec/pod_program.h"

namespace pintle::sources {
namespace {

constexpr uint32_t kFolderMask =
    IN_CREATE | IN_CLOSE_WRITE | IN_MODIFY | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ATTRIB;
constexpr uint32_t kParentMask = IN_CREATE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF | IN_ONLYDIR;
constexpr off_t kMostFileBytes = off_t{8} << 20;  // above what an object may have: refused by the loader, which says so

bool is_document(std::string_view name) {
  if (name.empty() || name.front() == '.') return false;
  return name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json");
}

std::string parent_of(const std::string& path) {
  const size_t slash = path.rfind('/');
  return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string without_trailing_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

Status check_writers(const std::string& path, const struct stat& info) {
  if (info.st_uid == ::geteuid() && (info.st_mode & 0022U) == 0) return {};
  return fail(Code::kInvalid,
              fmt::format("'{}' has owner {} and mode {:04o}; what others may write is not loaded: chown {} '{}' && chmod go-w '{}'", path,
                          info.st_uid, info.st_mode & 07777U, ::geteuid(), path, path));
}

Result<std::string> read_checked(const std::string& path) {
  struct stat info{};
  if (::stat(path.c_str(), &info) != 0) return fail_errno(errno, fmt::format("open '{}'", path));
  if (!S_ISREG(info.st_mode)) return fail(Code::kInvalid, fmt::format("'{}' is not a regular file", path));
  PINTLE_TRY(check_writers(path, info));
  if (info.st_size > kMostFileBytes)
    return fail(Code::kInvalid, fmt::format("'{}' has {} bytes; {} are read at most", path, info.st_size, kMostFileBytes));
  return read_file(path);
}

}  // namespace

ProgramFolder::ProgramFolder(const Clock& clock, ProgramFolderOptions options, ports::PodProgramSink& sink)
    : clock_(clock), options_{.path = without_trailing_slash(std::move(options.path)), .audit = options.audit}, sink_(sink) {}
ProgramFolder::~ProgramFolder() { stop(); }

Status ProgramFolder::start() {
  wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return fail_errno(errno, "watch programs: eventfd");
  PINTLE_TRY(rearm());
  look();
  sink_.synced(std::string(kFolderSource));
  thread_ = std::jthread([this] { run(); });
  return {};
}

void ProgramFolder::stop() {
  if (!thread_.joinable()) return;
  const uint64_t one = 1;
  (void)!::write(wake_.get(), &one, sizeof one);  // cannot fail: one write in its life
  thread_.join();
}

// Watches come before the look, so that nothing between the two is missed.
Status ProgramFolder::rearm() {
  must_rearm_ = false;
  inotify_.reset(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!inotify_.valid()) return fail_errno(errno, "watch programs: inotify_init1");
  folder_watch_ = ::inotify_add_watch(inotify_.get(), options_.path.c_str(), kFolderMask | IN_ONLYDIR);
  if (folder_watch_ < 0 && errno == ENOSPC)
    return fail_errno(errno, fmt::format("watch '{}': raise fs.inotify.max_user_watches", options_.path));
  std::string parent = parent_of(options_.path);
  while (::inotify_add_watch(inotify_.get(), parent.c_str(), kParentMask) < 0) {
    if (parent == "/" || errno == ENOSPC) return fail_errno(errno, fmt::format("watch '{}'", parent));
    parent = parent_of(parent);
  }
  return {};
}

void ProgramFolder::run() {
  SteadyTime next_audit = clock_.steady() + options_.audit;
  for (;;) {
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(next_audit - clock_.steady()).count();
    pollfd fds[2] = {{inotify_.get(), POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    const int n = ::poll(fds, 2, static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX)));
    if (n < 0 && errno != EINTR) return;  // EFAULT and EINVAL: neither can be
    if (fds[1].revents != 0) return;
    const bool changed = n > 0 && fds[0].revents != 0 && drain_events();
    const bool audit = clock_.steady() >= next_audit;
    if (audit) {
      next_audit = clock_.steady() + options_.audit;
      being_written_.clear();  // a writer that never closes is read as it stands
    }
    if (!changed && !audit) continue;
    std::string problem;
    if (must_rearm_ || (audit && folder_watch_ < 0))
      if (const auto armed = rearm(); !armed) problem = armed.error().message();  // the audit goes on, and tries again
    if (problem != problem_ && (!problem.empty() || folder_watch_ >= 0)) sink_.trouble(std::string(kFolderSource), problem_ = problem);
    look();
  }
}

// True when something happened that a look may see.
bool ProgramFolder::drain_events() {
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
      } else if (event.wd != folder_watch_) {
        if (folder_watch_ >= 0 && file != own_name) continue;  // a neighbour of the folder
        changed = must_rearm_ = true;
      } else if ((event.mask & IN_MODIFY) != 0) {
        being_written_.insert(file);
      } else {
        if ((event.mask & (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)) != 0) being_written_.erase(file);
        // A regular file that was just made is empty yet and will be closed; links and the like come whole.
        struct stat info{};
        const bool fresh = (event.mask & IN_CREATE) != 0 && ::lstat((options_.path + "/" + file).c_str(), &info) == 0 &&
                           S_ISREG(info.st_mode) && info.st_nlink == 1 && info.st_size == 0;
        if (fresh) being_written_.insert(file);
        changed = changed || !fresh;
      }
    }
  }
}

void ProgramFolder::look() {
  std::set<std::string> present;
  struct stat info{};
  Status readable;
  if (::stat(options_.path.c_str(), &info) == 0) {
    readable = check_writers(options_.path, info);
    std::error_code error;
    if (readable)
      for (std::filesystem::directory_iterator it(options_.path, error), end; !error && it != end; it.increment(error))
        if (std::string name = it->path().filename(); is_document(name)) present.insert(std::move(name));
    if (error) readable = fail_errno(error.value(), fmt::format("read folder '{}'", options_.path));
  } else if (errno != ENOENT && errno != ENOTDIR) {
    readable = fail_errno(errno, fmt::format("look at '{}'", options_.path));
  }
  // A folder that can't be read says nothing about its programs: they stay.
  if (const std::string problem = readable ? "" : readable.error().message(); problem != problem_ && (!readable || folder_watch_ >= 0))
    sink_.trouble(std::string(kFolderSource), problem_ = problem);
  if (!readable) return;
  for (const auto& name : present) look_at(name);
  std::erase_if(known_, [&](const auto& file) {
    if (present.contains(file.first)) return false;
    sink_.gone(options_.path + "/" + file.first);
    return true;
  });
  give_back_heap();
}

void ProgramFolder::look_at(const std::string& name) {
  const auto busy = [this](const std::string& file) { return being_written_.contains(file); };
  if (busy(name)) return;
  if (const auto known = known_.find(name); known != known_.end()) {
    Signature now;
    sign(name, now);
    for (const auto& object : known->second.objects) sign(object, now);
    if (std::ranges::any_of(known->second.objects, busy) || now == known->second.signature) return;
  }
  Known fresh;
  auto file = read_whole(name, fresh);
  if (std::ranges::any_of(fresh.objects, busy)) return;  // its closing wakes us
  known_[name] = std::move(fresh);
  sink_.put(std::move(file));
}

// Before a file is read: what changes meanwhile is read again at the next look.
void ProgramFolder::sign(const std::string& file, Signature& out) const {
  struct stat info{};
  if (::stat((options_.path + "/" + file).c_str(), &info) != 0) return out.push_back(-errno);
  for (const int64_t value :
       {static_cast<int64_t>(info.st_dev), static_cast<int64_t>(info.st_ino), static_cast<int64_t>(info.st_size),
        info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec, info.st_ctim.tv_sec * 1'000'000'000 + info.st_ctim.tv_nsec})
    out.push_back(value);
}

ports::PodProgramFile ProgramFolder::read_whole(const std::string& name, Known& fresh) const {
  const std::string path = options_.path + "/" + name;
  ports::PodProgramFile out{.source = std::string(kFolderSource), .origin = path, .programs = {}, .errors = {}};
  sign(name, fresh.signature);
  const auto text = read_checked(path);
  if (!text) {
    out.errors.push_back(text.error().message());
    return out;
  }
  auto documents = codec::parse_pod_programs(*text, path);
  for (auto& error : documents.errors) out.errors.push_back(error.message());
  for (auto& program : documents.programs) {
    fresh.objects.push_back(program.object);
    sign(program.object, fresh.signature);
    auto bytes = read_checked(options_.path + "/" + program.object);
    ports::DeclaredProgram declared{std::move(program), nullptr};
    if (bytes)
      declared.object = std::make_shared<const std::string>(*std::move(bytes));
    else
      declared.object = std::unexpected(with_context(std::move(bytes).error(), "read its object"));
    out.programs.push_back(std::move(declared));
  }
  return out;
}

}  // namespace pintle::sources
