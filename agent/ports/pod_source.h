// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to where desired pods come from. Each source delivers whole sets first and changes afterwards to a sink;
// sources/merge.h makes one stream of them. Thread rule: a source calls its sink from its own thread only, never
// after stop() has returned.
#pragma once

#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "model/status.h"

namespace pintle::ports {

using PodPtr = std::shared_ptr<const model::Pod>;

// The full set of one source (after a list, a relist, a folder scan).
struct PodSet {
  std::vector<PodPtr> pods;
  std::vector<PodUid> unread;  // are there too, in a version that could not be read: what was delivered of them before stands
};
struct PodUpsert {
  PodPtr pod;
};
struct PodGone {
  PodUid uid;
  std::string traceparent = {};  // of whoever deleted it, where its last version tells
};
// An object the source can't turn into a pod: named file, line, field, and what was expected. Empty `error` clears `origin`.
struct PodProblem {
  std::string origin;  // "/etc/pintle/manifests/web.yaml", "api:default/web"
  std::string error;
};
using PodChange = std::variant<PodSet, PodUpsert, PodGone, PodProblem>;

class PodSink {
 public:
  virtual ~PodSink() = default;
  virtual void deliver(const std::string& source, PodChange change) = 0;
};

class PodSource {
 public:
  virtual ~PodSource() = default;
  [[nodiscard]] virtual std::string name() const = 0;  // "api", "file", "http"
  [[nodiscard]] virtual Status start(PodSink& sink) = 0;
  // Returns when the source's thread has ended, within milliseconds.
  virtual void stop() = 0;
};

}  // namespace pintle::ports
