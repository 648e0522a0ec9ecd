// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What a folder of manifests amounts to, as a state machine without I/O: file contents go in, static pods and problems
// come out. A file that can't be read whole keeps the pods it gave last, until it is mended or gone; one pod name is
// given once, by the first file in order of path (facts rows 2.8, 2.10). Not thread-safe.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "ports/pod_source.h"

namespace pintle::sources {

class ManifestSet {
 public:
  ManifestSet(std::string source, std::string node_name) : source_(std::move(source)), node_name_(std::move(node_name)) {}

  // One round: begin, then put/keep/complain for every file there is, then finish. Files not named since begin() are gone.
  void begin();
  void put(const std::string& path, std::string_view text, Time now);
  void keep(const std::string& path);                                // unchanged, or not to be looked at now
  void complain(const std::string& path, const std::string& error);  // can't be read: its last pods stay

  // Problems that arose or went since the last round, then the whole set if it changed (always in the first round).
  [[nodiscard]] std::vector<ports::PodChange> finish();

 private:
  struct File {
    std::vector<ports::PodPtr> pods;
    std::string error;
    bool named = false;
  };
  const std::string source_, node_name_;
  std::map<std::string, File> files_;
  std::map<std::string, std::string> reported_;  // path -> error
  std::map<std::string, Time> first_seen_;       // uid -> time
  std::vector<ports::PodPtr> delivered_;
  bool first_round_ = true;
};

}  // namespace pintle::sources
