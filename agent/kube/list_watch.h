// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One kind of object from the API server, kept up to date (facts rows 2.1, 7.22): paged list, then a watch with bookmarks that resumes
// where it broke off. 410 lists again; every other failure waits 0.8 s doubling to 30 s, with jitter, or what Retry-After says. What the
// objects are is WatchedKind's to know.
// Thread rule: one thread of its own, on a connection of its own; its one blocking call is ApiConnection::stream.
// start() once; stop() from another thread than the kind's.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/backoff.h"
#include "kube/api_connection.h"
#include "kube/line_splitter.h"

namespace pintle::kube {

struct ListWatchOptions {
  std::string name;  // of the connection: "pod-watch"
  std::string what;  // for errors: "pods"
  std::string path;  // "/api/v1/pods", or with a selector: "/api/v1/pods?fieldSelector=…"
  int page_size = 500;
  BackoffPolicy backoff{std::chrono::milliseconds(800), std::chrono::seconds(30)};
  std::chrono::seconds watch_min{300}, watch_max{600};  // timeoutSeconds is chosen between the two
  size_t max_line = size_t{16} << 20;
  Duration patience =
      std::chrono::seconds(5);  // with a page; doubled up to 30 s when none came: one that hangs is told soon, a slow one waited for
};

struct ListHead {
  std::string resource_version, continue_token;
};

// For WatchedKind::page(): hands on each item of a list's page, with its place in it.
[[nodiscard]] Result<ListHead> each_item(const std::string& body, const std::function<void(const std::string& json, size_t place)>& take);

// What one kind makes of what is read. Called on the watch's thread only.
class WatchedKind {
 public:
  enum class Trouble {
    kApi,     // can't be listed or watched; an empty error: it can again
    kStream,  // something in the stream was lost
  };
  virtual ~WatchedKind() = default;
  virtual void list_begins() = 0;  // forget what an earlier list that broke off has brought
  [[nodiscard]] virtual Result<ListHead> page(const std::string& body) = 0;
  virtual void list_ends() = 0;
  virtual void changed(std::string_view object_json, bool deleted) = 0;
  virtual void trouble(Trouble trouble, const std::string& error) = 0;
  // 403: nothing will come until somebody grants it. trouble() is called as well, and it is tried again.
  virtual void forbidden(const std::string& /*error*/) {}
};

struct WatchCounts {
  uint64_t lists = 0, watches = 0, events = 0;
};

class ListWatch {
 public:
  // REQUIRES: `clock` and `kind` outlive this.
  ListWatch(Kubeconfig config, const Clock& clock, ListWatchOptions options, WatchedKind& kind);
  ~ListWatch();

  [[nodiscard]] Status start();
  void stop();
  [[nodiscard]] WatchCounts counts() const;

 private:
  static constexpr Duration kMostPatience = std::chrono::seconds(30);
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
  [[nodiscard]] Step failed(Next next, const Error& error);

  // const after construction
  const Kubeconfig config_;
  const Clock& clock_;
  const ListWatchOptions options_;
  const std::string path_;  // ends in '?' or '&'
  // own thread
  WatchedKind& kind_;
  std::unique_ptr<ApiConnection> connection_;
  std::string resource_version_;
  Duration patience_;
  bool watch_ended_by_event_ = false;
  // any thread
  std::atomic<uint64_t> lists_{0}, watches_{0}, events_{0};
  std::jthread thread_;
};

}  // namespace pintle::kube
