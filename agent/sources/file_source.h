// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Static pods from a manifest file or folder, as source "file" (facts rows 2.6, 2.8): inotify wakes it, a full look each
// 20 s audits. Not recursive; names that begin with "." and editors' leftovers (~, .swp, .tmp …) are passed over. A path
// that is missing is an empty set, and its appearance is noticed. A file that is being written is read when closed.
// Thread rule: one thread of its own; its one blocking call is poll(2).
#pragma once

#include <map>
#include <string>
#include <thread>
#include <tuple>

#include "base/time.h"
#include "ports/pod_source.h"
#include "sources/manifest_set.h"
#include "sources/watched_folder.h"

namespace pintle::sources {

struct FileSourceOptions {
  std::string path;
  std::string node_name;
  Duration audit = std::chrono::seconds(20);
};

class FileSource final : public ports::PodSource {
 public:
  // Contract: `clock` outlives the source.
  FileSource(const Clock& clock, FileSourceOptions options);
  ~FileSource() override;

  [[nodiscard]] std::string name() const override { return "file"; }
  [[nodiscard]] Status start(ports::PodSink& sink) override;
  void stop() override;

 private:
  enum class Look { kEvents, kAudit };
  // Tells whether a file is as it was when last read.
  using Signature = std::tuple<uint64_t, uint64_t, int64_t, int64_t, int64_t, int64_t>;

  void run();
  void look(Look kind);
  void keep_all(const Error& why);
  void look_at(const std::string& path, const std::string& name);
  void read_into_set(const std::string& path, const Signature& signature);
  void deliver(std::vector<ports::PodChange> changes);

  // const after construction
  const Clock& clock_;
  const Duration audit_;
  // own thread
  ports::PodSink* sink_ = nullptr;
  ManifestSet set_;
  WatchedFolder folder_;  // its stop(): any thread
  std::map<std::string, Signature> read_;
  std::string source_problem_;
  std::jthread thread_;
};

}  // namespace pintle::sources
