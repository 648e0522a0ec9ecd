// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to the files of containers' logs, which the runtime writes: their end, and the links that collectors of logs look for
// (facts rows 17.6, 20.1, 20.3). Reading them is LogReader's. Nothing is touched but what belongs to the pod that is named: other
// agents may share both folders.
// Thread rule: any thread; calls for the containers of one pod may run at once, remove_pod() alone.
// Errors: kInvalid (a name that can't be part of a path), kAlreadyExists, kUnavailable, kInternal.
#pragma once

#include <string>

#include "base/result.h"
#include "ports/log_reader.h"

namespace pintle::ports {

// A pod as its folder names it. An empty namespace: only the UID is known of it.
struct LogOwner {
  std::string namespace_, pod, uid;
};

class PodLogs {
 public:
  virtual ~PodLogs() = default;

  // Links an attempt's log where collectors look for it; one whose log isn't there gets no link. Idempotent. What is there already and is
  // not this pod's stays: kAlreadyExists.
  [[nodiscard]] virtual Status link(const LogTarget& log, const ContainerId& id) = 0;
  // Deletes an attempt's link, its log and what was rotated out of it. Absent is success.
  [[nodiscard]] virtual Status remove_container(const LogTarget& log, const ContainerId& id) = 0;
  // Deletes the pod's links, whatever became of their containers, and then its folder. Absent is success.
  [[nodiscard]] virtual Status remove_pod(const LogOwner& pod) = 0;
};

}  // namespace pintle::ports
