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
#include <string>
#include <thread>
#include <vector>

#include "base/time.h"
#include "ports/pod_programs.h"
#include "sources/watched_folder.h"

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
  void look();
  void look_at(const std::string& name);
  void sign(const std::string& file, Signature& out) const;
  [[nodiscard]] ports::PodProgramFile read_whole(const std::string& name, Known& fresh) const;

  const Clock& clock_;
  const Duration audit_;
  ports::PodProgramSink& sink_;
  // The caller's thread in start(), then its own.
  WatchedFolder folder_;                // its stop(): any thread
  std::map<std::string, Known> known_;  // by file name
  std::string problem_;
  std::jthread thread_;
};

}  // namespace pintle::sources
