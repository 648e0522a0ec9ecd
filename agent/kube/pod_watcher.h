// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The pods of one node from the API server, as source "api", over a ListWatch. A pod that can't be decoded is a PodProblem
// "api:namespace/name": what was known of it stays, and nothing ends. Failures to list or watch are a PodProblem "api", cleared by the
// next success. Thread rule: as ListWatch. start() once; stop() from another thread than the sink's.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <vector>

#include "kube/list_watch.h"
#include "ports/pod_source.h"

namespace pintle::kube {

struct PodWatcherOptions {
  std::string node_name;
  int page_size = 500;
  BackoffPolicy backoff{std::chrono::milliseconds(800), std::chrono::seconds(30)};
  std::chrono::seconds watch_min{300}, watch_max{600};  // timeoutSeconds is chosen between the two
  size_t max_line = size_t{16} << 20;
};

struct PodWatchCounts {
  uint64_t lists = 0, watches = 0, events = 0, problems = 0;
};

class PodWatcher final : public ports::PodSource, private WatchedKind {
 public:
  // Contract: `clock` outlives the watcher.
  PodWatcher(Kubeconfig config, const Clock& clock, PodWatcherOptions options);
  ~PodWatcher() override;

  [[nodiscard]] std::string name() const override { return "api"; }
  [[nodiscard]] Status start(ports::PodSink& sink) override;
  void stop() override;
  [[nodiscard]] PodWatchCounts counts() const;

 private:
  void list_begins() override;
  [[nodiscard]] Result<ListHead> page(const std::string& body) override;
  void list_ends() override;
  void changed(std::string_view object_json, bool deleted) override;
  void trouble(Trouble trouble, const std::string& error) override;
  void report(const std::string& origin, const std::string& error);
  void clear(const std::string& origin);

  // own thread
  ports::PodSink* sink_ = nullptr;
  std::set<std::string> problems_;              // origins reported and not cleared
  std::map<std::string, ports::PodPtr> found_;  // by UID: by the list that is being read
  std::vector<PodUid> unread_;                  // by the same: what could not be decoded
  std::map<std::string, std::string> refused_;  // by the same: origin -> error
  // any thread
  std::atomic<uint64_t> problem_count_{0};
  ListWatch watch_;
};

}  // namespace pintle::kube
