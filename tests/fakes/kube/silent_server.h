// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A server that accepts connections and never says a word: what a client sees of an overloaded or half-dead API server.
// It closes its end once the client has closed. Thread rule: one thread of its own; counters from any thread.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <thread>

#include "base/unique_fd.h"
#include "kube/kubeconfig.h"

namespace pintle::fakes {

class SilentServer {
 public:
  SilentServer();
  ~SilentServer();
  [[nodiscard]] kube::Kubeconfig config(bool tls = false) const;
  [[nodiscard]] int port() const { return port_; }
  // Waits until `done` holds of (connections accepted so far, bytes they sent, connections open); false after 10 s.
  bool wait_for(const std::function<bool(int accepted, size_t bytes, int open)>& done);

 private:
  void run();
  UniqueFd listener_, epoll_, wake_;
  int port_ = 0;
  std::mutex mu_;
  std::condition_variable changed_;
  int accepted_ = 0, open_ = 0;
  size_t bytes_ = 0;
  std::thread thread_;
};

}  // namespace pintle::fakes
