// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The half that faces the sources; plans are program_plans.cpp's.
#include "programs/program_registry.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/sha256.h"

namespace pintle::programs {

namespace {

constexpr size_t kDigestDigits = 12;

std::string joined(const std::vector<std::string>& errors) {
  std::string text;
  for (const auto& error : errors) text.append(text.empty() ? "" : "; ").append(error);
  return text;
}

}  // namespace

void ProgramRegistry::tell(const std::string& origin, const std::string& error) {
  if (out_.problem) out_.problem(origin, error);
}

// A file that can't be read whole keeps the programs it had: which of them is meant by the part in error is not known.
void ProgramRegistry::put(ports::PodProgramFile file) {
  const MutexLock one_source(sources_mu_);
  std::set<std::string> left;  // names that it had and has no more
  {
    const MutexLock lock(mu_);
    File& known = files_[file.origin];
    known.source = file.source;
    known.others.clear();
    if (file.errors.empty())
      for (const auto& name : known.names)
        if (std::ranges::none_of(file.programs, [&](const auto& declared) { return declared.program.name == name; })) left.insert(name);
  }
  tell(file.origin, joined(file.errors));
  for (const auto& name : left) remove(name);
  for (auto& declared : file.programs) declare(file.origin, std::move(declared));
  hand_on(left);
  replan();
}

void ProgramRegistry::gone(const std::string& origin) {
  const MutexLock one_source(sources_mu_);
  std::set<std::string> left;
  {
    const MutexLock lock(mu_);
    const auto known = files_.find(origin);
    if (known == files_.end()) return;
    left = known->second.names;
    files_.erase(known);
  }
  tell(origin, "");
  for (const auto& name : left) remove(name);
  hand_on(left);
  replan();
}

void ProgramRegistry::synced(const std::string& source) {
  const MutexLock one_source(sources_mu_);
  bool complete = false;
  {
    const MutexLock lock(mu_);
    if (!told_.insert(source).second) return;
    complete = all_known();
  }
  if (!complete) return;
  // What an earlier run left, and nobody declares any more.
  if (const auto names = loader_.list_loaded(); names)
    for (const auto& name : *names) {
      bool declared = false;
      {
        const MutexLock lock(mu_);
        declared = programs_.contains(name);
      }
      if (!declared) remove(name);
    }
  else if (names.error().code != Code::kUnsupported)
    tell("programs of an earlier run", names.error().message());
  replan();
}

void ProgramRegistry::trouble(const std::string& source, const std::string& error) {
  {
    const MutexLock lock(mu_);
    if (error.empty())
      troubles_.erase(source);
    else
      troubles_[source] = error;
  }
  tell("source " + source, error);
}

// Whose the name is; a new one may be too many.
bool ProgramRegistry::may_declare(const std::string& origin, const ports::DeclaredProgram& declared) {
  std::string error;
  {
    const MutexLock lock(mu_);
    const std::string& name = declared.program.name;
    const auto known = programs_.find(name);
    if (known != programs_.end() && known->second.origin != origin)
      error = fmt::format("program '{}' is declared already in {}; this one is ignored", name, known->second.origin);
    else if (known == programs_.end() && programs_.size() >= kMostPrograms)
      error = fmt::format("program '{}' is one too many: a node takes {}", name, kMostPrograms);
    if (error.empty()) {
      files_[origin].names.insert(name);
    } else {
      files_[origin].others.push_back(declared);
    }
  }
  if (!error.empty()) tell(origin, fmt::format("{}: {}", origin, error));
  return error.empty();
}

void ProgramRegistry::declare(const std::string& origin, ports::DeclaredProgram declared) {
  if (!may_declare(origin, declared)) return;
  // Without the lock: the verifier works here.
  Result<ports::LoadedPodProgram> loaded = declared.object ? loader_.load(declared.program, **declared.object)
                                                           : Result<ports::LoadedPodProgram>(std::unexpected(declared.object.error()));
  const std::string name = declared.program.name;
  std::string error;
  {
    const MutexLock lock(mu_);
    Entry& entry = programs_[name];
    const bool is_news =
        entry.origin.empty() || !entry.error.empty() != !loaded || (loaded && entry.loaded.program_id != loaded->program_id);
    entry.origin = origin;
    entry.wanted = std::move(declared.program);
    if (is_news) entry.since = clock_.now();
    if (loaded) {
      entry.in_force = entry.wanted;
      entry.loaded = *loaded;
      entry.digest = sha256_hex(**declared.object).substr(0, kDigestDigits);
      entry.error.clear();
      entry.sys_errno = 0;
    } else {
      error = entry.error = loaded.error().message();
      entry.sys_errno = loaded.error().sys_errno;
    }
  }
  tell("program " + name, error);
}

void ProgramRegistry::remove(const std::string& name) {
  {
    const MutexLock lock(mu_);
    programs_.erase(name);
    for (auto& [origin, file] : files_) file.names.erase(name);
  }
  const auto done = loader_.unload(name);
  tell("program " + name, done || done.error().code == Code::kUnsupported ? "" : "remove: " + done.error().message());
}

// A declaration that was ignored for its name has its turn.
void ProgramRegistry::hand_on(const std::set<std::string>& free_names) {
  if (free_names.empty()) return;
  std::vector<std::pair<std::string, ports::DeclaredProgram>> next;
  {
    const MutexLock lock(mu_);
    for (auto& [origin, file] : files_)
      for (auto& declared : std::exchange(file.others, {})) next.emplace_back(origin, std::move(declared));
  }
  std::set<std::string> cleared;
  for (auto& [origin, declared] : next) {
    if (cleared.insert(origin).second) tell(origin, "");
    declare(origin, std::move(declared));
  }
}

std::vector<ports::PodProgramRecord> ProgramRegistry::list_programs() {
  const MutexLock lock(mu_);
  std::vector<ports::PodProgramRecord> out;
  for (const auto& [name, entry] : programs_) {
    ports::PodProgramRecord record;
    record.program = entry.wanted;
    record.origin = entry.origin;
    using State = ports::PodProgramRecord::State;
    record.state = !entry.in_force ? State::kRefused : entry.error.empty() ? State::kLoaded : State::kOutdated;
    record.program_id = entry.loaded.program_id;
    record.tag = entry.loaded.tag;
    record.digest = entry.digest;
    record.since = entry.since;
    record.sys_errno = entry.sys_errno;
    record.error = entry.error;
    for (const auto& [uid, local] : pods_)
      if (std::ranges::find(local.planned, name, &model::PlannedProgram::name) != local.planned.end()) ++record.pods;
    out.push_back(std::move(record));
  }
  return out;
}

}  // namespace pintle::programs
