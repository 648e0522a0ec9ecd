// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The pods of one node from the API server, as source "api" (facts rows 2.1, 7.22): paged list, then a watch with
// bookmarks that resumes where it broke off. 410 lists again; every other failure waits 0.8 s doubling to 30 s, with
// jitter, or what Retry-After says. A pod that can't be decoded is a PodProblem "api:namespace/name": what was known of
// it stays, and nothing ends. Failures to list or watch are a PodProblem "api", cleared by the next success.
// Thread rule: one thread of its own, on a connection of its own; its one blocking call is ApiConnection::stream.
// start() once; stop() from another thread than the sink's.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <set>
#include <thread>

#include "base/backoff.h"
#include "kube/api_connection.h"
#include "kube/line_splitter.h"
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

class PodWatcher final : public ports::PodSource {
 public:
  // Contract: `clock` outlives the watcher.
  PodWatcher(Kubeconfig config, const Clock& clock, PodWatcherOptions options);
  ~PodWatcher() override;

  [[nodiscard]] std::string name() const override { return "api"; }
  [[nodiscard]] Status start(ports::PodSink& sink) override;
  void stop() override;
  [[nodiscard]] PodWatchCounts counts() const;

 private:
  enum class Next { kList, kWatch };
  struct Step {
    Next next = Next::kWatch;
    bool healthy = true;  // false: wait before going on
    Duration wait_at_least{};
  };
  void run(std::stop_token stop);
  [[nodiscard]] Step list(std::stop_token stop);
  [[nodiscard]] Result<std::string> list_page(const std::string& continue_token, std::stop_token stop, Duration& retry_after);
  [[nodiscard]] Step watch(std::stop_token stop);
  void handle_line(std::string_view line, Step& step);
  void handle_pod(std::string_view object_json, bool deleted);
  void report(const std::string& origin, const std::string& error);
  void clear(const std::string& origin);
  [[nodiscard]] Step failed(Next next, const Error& error);
  [[nodiscard]] std::string selector_path() const;

  // const after construction
  const Kubeconfig config_;
  const Clock& clock_;
  const PodWatcherOptions options_;
  // own thread
  ports::PodSink* sink_ = nullptr;
  std::unique_ptr<ApiConnection> connection_;
  std::string resource_version_;
  std::map<std::string, ports::PodPtr> known_;  // by UID: what an undecodable newer version falls back to
  std::set<std::string> problems_;              // origins reported and not cleared
  bool watch_ended_by_event_ = false;
  // any thread
  std::atomic<uint64_t> lists_{0}, watches_{0}, events_{0}, problem_count_{0};
  std::jthread thread_;
};

}  // namespace pintle::kube
