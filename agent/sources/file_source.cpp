// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "sources/file_source.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <memory>
#include <set>

#include <fmt/format.h>

#include "base/heap.h"

namespace pintle::sources {
namespace {

constexpr off_t kMaxManifest = off_t{10} << 20;

bool passed_over(std::string_view name) {
  if (name.empty() || name.front() == '.') return true;
  for (const std::string_view suffix : {"~", ".swp", ".swx", ".swo", ".tmp", ".bak", ".orig", ".rej"})
    if (name.ends_with(suffix)) return true;
  return (name.front() == '#' && name.back() == '#') || name == "4913";  // what emacs and vim probe with
}

}  // namespace

FileSource::FileSource(const Clock& clock, FileSourceOptions options)
    : clock_(clock), audit_(options.audit), set_("file", options.node_name), folder_(clock, std::move(options.path), passed_over) {}
FileSource::~FileSource() { stop(); }

Status FileSource::start(ports::PodSink& sink) {
  sink_ = &sink;
  PINTLE_TRY(folder_.open());
  thread_ = std::jthread([this] { run(); });
  return {};
}

void FileSource::stop() {
  if (!thread_.joinable()) return;
  folder_.stop();
  thread_.join();
}

void FileSource::run() {
  look(Look::kAudit);
  for (SteadyTime next_audit = clock_.steady() + audit_;;) {
    const auto woken = folder_.wait(next_audit);
    if (woken == WatchedFolder::Woken::kStopped) return;
    const bool audit = woken == WatchedFolder::Woken::kAudit;
    if (audit) next_audit = clock_.steady() + audit_;
    if (folder_.must_arm() || audit) {
      // Without inotify the audit goes on; the problem is told and the next audit tries again.
      auto armed = folder_.arm();
      const std::string problem = armed ? "" : armed.error().context;
      if (problem != source_problem_) sink_->deliver(name(), ports::PodProblem{folder_.path(), problem});
      source_problem_ = problem;
    }
    look(audit ? Look::kAudit : Look::kEvents);
  }
}

void FileSource::look(Look kind) {
  if (kind == Look::kAudit) folder_.forget_writers();  // a writer that never closes is read as it stands
  set_.begin();
  struct stat info{};
  if (::stat(folder_.path().c_str(), &info) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return deliver(set_.finish());
    return keep_all(error_from_errno(errno, fmt::format("stat '{}'", folder_.path())));
  }
  if (!S_ISDIR(info.st_mode)) {
    look_at(folder_.path(), folder_.own_name());
    deliver(set_.finish());
    return;
  }
  struct CloseFolder {
    void operator()(DIR* dir) const { ::closedir(dir); }
  };
  const std::unique_ptr<DIR, CloseFolder> dir(::opendir(folder_.path().c_str()));
  if (!dir) return keep_all(error_from_errno(errno, fmt::format("open folder '{}'", folder_.path())));
  std::set<std::string> present;
  while (const dirent* entry = ::readdir(dir.get())) {
    const std::string name = entry->d_name;
    if (passed_over(name)) continue;
    const std::string path = folder_.path() + "/" + name;
    present.insert(path);
    look_at(path, name);
  }
  std::erase_if(read_, [&](const auto& seen) { return !present.contains(seen.first); });
  deliver(set_.finish());
}

// A folder we can't see into says nothing about its pods.
void FileSource::keep_all(const Error& why) {
  for (const auto& [path, signature] : read_) set_.keep(path);
  set_.complain(folder_.path(), why.context);
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
  if (folder_.is_being_written(name) || (known && seen->second == signature)) return set_.keep(path);
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
