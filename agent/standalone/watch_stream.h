// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One watch: turns the store's changes into the lines of a watch response, with selectors, bookmarks and Tables.
// Thread rule: the connection's worker thread. It never waits on a writer, nor a writer on it.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/time.h"
#include "standalone/api_request.h"

namespace httplib {
class DataSink;
}

namespace pintle::standalone {

class ConnectionStream;

struct WatchRequest {
  const ResourceType* type = nullptr;
  ListRequest filter;  // namespace and selector
  std::optional<TableStyle> table;
  bool bookmarks = false;
  bool send_initial = false;  // sendInitialEvents=true: everything first, then a bookmark that says so
  std::string resource_version;
  Duration timeout{};
};

class WatchStream {
 public:
  // 410 when the version is too old, 400 when it is no version.
  [[nodiscard]] static ApiResult<std::shared_ptr<WatchStream>> open(ObjectStore& store, const Clock& clock, WatchRequest request);

  // Writes what there is, or waits for more. false: the connection is of no use any more.
  [[nodiscard]] bool pump(httplib::DataSink& sink, ConnectionStream& connection);

 private:
  WatchStream(ObjectStore& store, const Clock& clock, WatchRequest request);
  void add_line(std::string& out, const char* type, const VersionPtr& version);
  void add_change(std::string& out, const Change& change);
  void add_bookmark(std::string& out, bool initial_end);
  [[nodiscard]] std::string initial_lines();
  [[nodiscard]] bool wait(ConnectionStream& connection);

  ObjectStore& store_;
  const Clock& clock_;
  const WatchRequest request_;
  const SteadyTime deadline_;
  SteadyTime next_bookmark_;
  std::shared_ptr<Watcher> watcher_;
  std::vector<VersionPtr> initial_;
  bool started_ = false, columns_sent_ = false, listen_to_peer_ = true;
};

}  // namespace pintle::standalone
