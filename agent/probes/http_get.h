// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One HTTP GET as probes and hooks make it: no keep-alive, no proxy, TLS unverified, redirects only on the same host,
// at most 10 KiB of body (facts row 12.10). Thread rule: any thread.
#pragma once

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"

namespace pintle::probes {

struct HttpRequest {
  bool tls = false;
  std::string host;
  int port = 0;
  std::string path;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string user_agent;
  std::chrono::seconds timeout{1};
};
struct HttpAnswer {
  int status = 0;
  std::string body;
  bool redirected_away = false;  // a redirect to another host: a warning that counts as success
};
// kUnavailable with the transport's error ("connection refused", "timeout").
[[nodiscard]] Result<HttpAnswer> http_get(const HttpRequest& request);

}  // namespace pintle::probes
