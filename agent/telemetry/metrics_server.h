// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// GET /metrics over HTTP/1.1 on one address, nothing else: no TLS, no bodies, one answer a connection. One thread serves
// all of them with poll(2), so that a reader who says nothing keeps nobody waiting, and any descriptor number will do (which
// cpp-httplib's select(2) would not take). Slow readers are cut off.
// Thread rule: start and destroy from one thread; `page` is called on the server's own.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/time.h"

namespace pintle::telemetry {

struct MetricsServerOptions {
  std::string listen;  // "127.0.0.1:9810", "[::1]:0"
  std::function<std::string()> page;
  const Clock* clock = nullptr;                  // outlives the server
  Duration patience = std::chrono::seconds(10);  // for a whole request and its answer
};

class MetricsServer {
 public:
  // kInvalid: not ADDRESS:PORT; kUnavailable: the address is in use or not of this machine.
  [[nodiscard]] static Result<std::unique_ptr<MetricsServer>> start(MetricsServerOptions options);
  virtual ~MetricsServer() = default;
  [[nodiscard]] virtual int port() const = 0;

 protected:
  MetricsServer() = default;
};

}  // namespace pintle::telemetry
