// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam for whoever posts to an HTTP server that is neither the API nor the runtime: one kept connection, one deadline.
// Thread rule: one thread at a time.
#pragma once

#include <chrono>
#include <optional>
#include <stop_token>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace pintle::ports {

struct HttpPost {
  std::string path;  // below the server's own prefix
  std::string body, content_type;
  std::string content_encoding;  // "gzip"; empty: as it is
  std::string accept;            // empty: nothing in particular
};
struct HttpReply {
  int status = 0;
  std::string body;
  std::optional<std::chrono::seconds> retry_after;
};

class HttpPoster {
 public:
  virtual ~HttpPoster() = default;
  // Whatever the server answered. kUnavailable: no complete answer in time; kCancelled; kInvalid: certificates that can't be used.
  [[nodiscard]] virtual Result<HttpReply> post(const HttpPost& request, std::stop_token stop) = 0;
};

}  // namespace pintle::ports
