// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "sources/program_folder.h"

#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <set>

#include <fmt/format.h>

#include "base/heap.h"
#include "codec/pod_program.h"

namespace pintle::sources {
namespace {

constexpr off_t kMostFileBytes = off_t{8} << 20;  // above what an object may have: refused by the loader, which says so

bool is_document(std::string_view name) {
  if (name.empty() || name.front() == '.') return false;
  return name.ends_with(".yaml") || name.ends_with(".yml") || name.ends_with(".json");
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
    : clock_(clock), audit_(options.audit), sink_(sink), folder_(clock, std::move(options.path)) {}
ProgramFolder::~ProgramFolder() { stop(); }

Status ProgramFolder::start() {
  PINTLE_TRY(folder_.open());
  look();
  sink_.synced(std::string(kFolderSource));
  thread_ = std::jthread([this] { run(); });
  return {};
}

void ProgramFolder::stop() {
  if (!thread_.joinable()) return;
  folder_.stop();
  thread_.join();
}

void ProgramFolder::run() {
  for (SteadyTime next_audit = clock_.steady() + audit_;;) {
    const auto woken = folder_.wait(next_audit);
    if (woken == WatchedFolder::Woken::kStopped) return;
    const bool audit = woken == WatchedFolder::Woken::kAudit;
    if (audit) {
      next_audit = clock_.steady() + audit_;
      folder_.forget_writers();  // a writer that never closes is read as it stands
    }
    std::string problem;
    if (folder_.must_arm() || (audit && !folder_.folder_is_watched()))
      if (const auto armed = folder_.arm(); !armed) problem = armed.error().message();  // the audit goes on, and tries again
    if (problem != problem_ && (!problem.empty() || folder_.folder_is_watched()))
      sink_.trouble(std::string(kFolderSource), problem_ = problem);
    look();
  }
}

void ProgramFolder::look() {
  std::set<std::string> present;
  struct stat info{};
  Status readable;
  if (::stat(folder_.path().c_str(), &info) == 0) {
    readable = check_writers(folder_.path(), info);
    std::error_code error;
    if (readable)
      for (std::filesystem::directory_iterator it(folder_.path(), error), end; !error && it != end; it.increment(error))
        if (std::string name = it->path().filename(); is_document(name)) present.insert(std::move(name));
    if (error) readable = fail_errno(error.value(), fmt::format("read folder '{}'", folder_.path()));
  } else if (errno != ENOENT && errno != ENOTDIR) {
    readable = fail_errno(errno, fmt::format("look at '{}'", folder_.path()));
  }
  // A folder that can't be read says nothing about its programs: they stay.
  if (const std::string problem = readable ? "" : readable.error().message();
      problem != problem_ && (!readable || folder_.folder_is_watched()))
    sink_.trouble(std::string(kFolderSource), problem_ = problem);
  if (!readable) return;
  for (const auto& name : present) look_at(name);
  std::erase_if(known_, [&](const auto& file) {
    if (present.contains(file.first)) return false;
    sink_.gone(folder_.path() + "/" + file.first);
    return true;
  });
  give_back_heap();
}

void ProgramFolder::look_at(const std::string& name) {
  const auto busy = [this](const std::string& file) { return folder_.is_being_written(file); };
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
  if (::stat((folder_.path() + "/" + file).c_str(), &info) != 0) return out.push_back(-errno);
  for (const int64_t value :
       {static_cast<int64_t>(info.st_dev), static_cast<int64_t>(info.st_ino), static_cast<int64_t>(info.st_size),
        info.st_mtim.tv_sec * 1'000'000'000 + info.st_mtim.tv_nsec, info.st_ctim.tv_sec * 1'000'000'000 + info.st_ctim.tv_nsec})
    out.push_back(value);
}

ports::PodProgramFile ProgramFolder::read_whole(const std::string& name, Known& fresh) const {
  const std::string path = folder_.path() + "/" + name;
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
    auto bytes = read_checked(folder_.path() + "/" + program.object);
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
