// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Static pods from a manifest file or folder, as source "file" (facts rows 2.6, 2.8): inotify wakes it, a full look each
// 20 s audits. Not recursive; names that begin with "." and editors' leftovers (~, .swp, .tmp …) are passed over. A path
// that is missing is an empty set, and its appearance is noticed. A file that is being written is read when closed.
// Thread rule: one thread of its own; its one blocking call is poll(2).
#pragma once

#include <map>
#include <set>
#include <string>
#include <thread>
#include <tuple>

#include "base/time.h"
#include "base/unique_fd.h"
#include "ports/pod_source.h"
#include "sources/manifest_set.h"

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
  [[nodiscard]] Status rearm();
  [[nodiscard]] bool drain_events();
  void look(Look kind);
  void keep_all(const Error& why);
  void look_at(const std::string& path, const std::string& name);
  void read_into_set(const std::string& path, const Signature& signature);
  void deliver(std::vector<ports::PodChange> changes);

  // const after construction
  const Clock& clock_;
  const FileSourceOptions options_;
  // own thread
  ports::PodSink* sink_ = nullptr;
  ManifestSet set_;
  UniqueFd inotify_;
  int folder_watch_ = -1;  // of the folder itself; other watches are of its parents
  bool must_rearm_ = false;
  std::set<std::string> being_written_;  // names modified and not closed since
  std::map<std::string, Signature> read_;
  std::string source_problem_;
  // any thread
  UniqueFd wake_;
  std::jthread thread_;
};

}  // namespace pintle::sources
