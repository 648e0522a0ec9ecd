// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Operators' programs from ConfigMaps, as source "configmaps": those with the label pintle.dev/pod-program=true of one namespace. Keys of
// `data` that end in .yaml, .yml or .json hold PodProgram documents; their objects are keys of `binaryData`.
// Thread rule: one thread and connection of its own. start() once; stop() from another thread than the sink's.
#pragma once

#include <memory>
#include <string>

#include "kube/list_watch.h"
#include "ports/pod_programs.h"

namespace pintle::kube {

inline constexpr std::string_view kConfigMapSource = "configmaps";

struct ProgramWatcherOptions {
  std::string namespace_;
  int page_size = 10;  // of up to a megabyte each
  BackoffPolicy backoff{std::chrono::milliseconds(800), std::chrono::seconds(30)};
};

class ProgramWatcher {
 public:
  // REQUIRES: `clock` and `sink` outlive this.
  ProgramWatcher(Kubeconfig config, const Clock& clock, ProgramWatcherOptions options, ports::PodProgramSink& sink);
  ~ProgramWatcher();

  [[nodiscard]] Status start();
  void stop();

 private:
  class Kind;
  std::unique_ptr<Kind> kind_;
};

}  // namespace pintle::kube
