// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Operators' programs from a folder, as source "folder": each *.yaml, *.yml and *.json holds PodProgram documents, and the objects that
// they name lie beside it. inotify wakes it, a full look each 20 s audits. Not recursive. A folder that is missing is an empty set, and its
// appearance is noticed. What is being written is read when closed.
// Who may write here has programs loaded with the daemon's rights: folder and files that others than the daemon's user may write are
// refused. Thread rule: start() looks once on the caller's thread, so that what is there is known when it returns; then one thread of its
// own.
#pragma once

#include <map>
#include <memory>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "base/unique_fd.h"
#include "ports/pod_programs.h"

namespace pintle::sources {

inline constexpr std::string_view kFolderSource = "folder";

struct ProgramFolderOptions {
  std::string path;
  Duration audit = std::chrono::seconds(20);
};

class ProgramFolder {
 public:
  // REQUIRES: `clock` and `sink` outlive this.
  ProgramFolder(const Clock& clock, ProgramFolderOptions options, ports::PodProgramSink& sink);
  ~ProgramFolder();

  [[nodiscard]] Status start();
  void stop();

 private:
  using Signature = std::vector<int64_t>;  // of a document and its objects: tells whether they are as last read
  struct Known {
    Signature signature;
    std::vector<std::string> objects;
  };

  void run();
  [[nodiscard]] Status rearm();
  [[nodiscard]] bool drain_events();
  void look();
  void look_at(const std::string& name);
  void sign(const std::string& file, Signature& out) const;
  [[nodiscard]] ports::PodProgramFile read_whole(const std::string& name, Known& fresh) const;

  const Clock& clock_;
  const ProgramFolderOptions options_;
  ports::PodProgramSink& sink_;
  // The caller's thread in start(), then its own.
  std::map<std::string, Known> known_;   // by file name
  std::set<std::string> being_written_;  // names modified and not closed since
  UniqueFd inotify_;
  int folder_watch_ = -1;
  bool must_rearm_ = false;
  std::string problem_;
  // any thread
  UniqueFd wake_;
  std::jthread thread_;
};

}  // namespace pintle::sources
