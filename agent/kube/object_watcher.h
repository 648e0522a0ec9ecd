// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Watches of single ConfigMaps and Secrets, each by its name, as the node authorizer permits (facts rows 2.11, 7.22): one thread, and for
// each object a connection that costs a descriptor and its TLS state. A watch begins with the object as it is, and resumes where it broke
// off; 410 begins it anew. While the server can't be reached one connection tries for all of them, 0.5 s doubling to 5 s.
// Thread rule: one thread of its own; watch() on any. start() once; stop() from another thread than the sink's.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/backoff.h"
#include "base/mutex.h"
#include "kube/line_splitter.h"
#include "kube/list_watch.h"
#include "kube/watch_connection.h"
#include "ports/object_feed.h"

namespace pintle::kube {

struct ObjectWatcherOptions {
  size_t most = 256;  // objects that are watched at once; of more than these nothing is said
  BackoffPolicy backoff{std::chrono::milliseconds(200), std::chrono::seconds(30)};  // of one object that is refused
  BackoffPolicy reach{std::chrono::milliseconds(500), std::chrono::seconds(5)};     // of a server that can't be reached
  std::chrono::seconds head{10};                                                    // until a response begins
  std::chrono::seconds watch_min{300}, watch_max{600};
  size_t max_line = size_t{4} << 20;  // an object has a megabyte at most, and base64 adds a third
};

// nullopt: it can't be read, or is another one.
[[nodiscard]] std::optional<ports::ConfigObject> read_config_object(const ports::ConfigKey& key, std::string_view json);

class ObjectWatcher final : public ports::ObjectFeed {
 public:
  // REQUIRES: `clock` and `sink` outlive this.
  ObjectWatcher(Kubeconfig config, const Clock& clock, ObjectWatcherOptions options, ports::ObjectSink& sink);
  ~ObjectWatcher() override;

  // kUnavailable: no descriptors left.
  [[nodiscard]] Status start();
  void stop();
  void watch(std::set<ports::ConfigKey> keys) override;
  [[nodiscard]] WatchCounts counts() const { return {0, watches_.load(), events_.load()}; }

 private:
  struct Stream;
  using Streams = std::map<ports::ConfigKey, Stream>;
  void run(const std::stop_token& stop);
  void take_keys();
  void begin_due(SteadyTime now);
  void begin(const ports::ConfigKey& key, Stream& stream, SteadyTime now);
  [[nodiscard]] Result<WatchConnection> connect(SteadyTime now);
  [[nodiscard]] Result<std::string> request_for(const ports::ConfigKey& key, Stream& stream, SteadyTime now) const;
  void wait(const std::stop_token& stop, SteadyTime now);
  void advance(const ports::ConfigKey& key, Stream& stream, SteadyTime now);
  void began(const ports::ConfigKey& key, Stream& stream, SteadyTime now);
  void ended(const ports::ConfigKey& key, Stream& stream, SteadyTime now);
  void broken(const ports::ConfigKey& key, Stream& stream, SteadyTime now);
  void refused(const ports::ConfigKey& key, Stream& stream, SteadyTime now);
  void lose(const ports::ConfigKey& key, Stream& stream);
  void take_line(const ports::ConfigKey& key, Stream& stream, std::string_view line);

  const Kubeconfig config_;
  const Clock& clock_;
  const ObjectWatcherOptions options_;
  // own thread
  ports::ObjectSink& sink_;
  Streams streams_;
  TlsContextPtr context_;
  std::vector<SocketAddress> addresses_;
  SteadyTime read_at_{};  // when the two were made
  size_t next_address_ = 0;
  Backoff reach_;
  bool reachable_ = true;
  SteadyTime reach_at_{};
  // any thread
  std::optional<Interrupt> interrupt_;
  Mutex mu_;
  std::optional<std::set<ports::ConfigKey>> asked_ PINTLE_GUARDED_BY(mu_);
  std::atomic<uint64_t> watches_{0}, events_{0};
  std::jthread thread_;
};

}  // namespace pintle::kube
