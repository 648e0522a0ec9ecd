// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Posts over an ApiConnection, for parts of the agent that speak HTTP to others than the API server and want the same of it: every
// wait ends by its deadline or its stop token, TLS with certificates read anew, any descriptor. Not rate limited.
// Thread rule: any thread; posts queue up.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kube/api_connection.h"
#include "ports/http_poster.h"

namespace pintle::kube {

class ConnectionPoster final : public ports::HttpPoster {
 public:
  using Headers = std::vector<std::pair<std::string, std::string>>;
  ConnectionPoster(std::unique_ptr<ApiConnection> connection, Headers headers)
      : connection_(std::move(connection)), headers_(std::move(headers)) {}

  [[nodiscard]] Result<ports::HttpReply> post(const ports::HttpPost& request, std::stop_token stop) override {
    HttpRequest out{.method = "POST", .path = request.path, .body = request.body, .content_type = request.content_type};
    out.headers = headers_;
    if (!request.content_encoding.empty()) out.headers.emplace_back("Content-Encoding", request.content_encoding);
    if (!request.accept.empty()) out.headers.emplace_back("Accept", request.accept);
    out.repeatable = true;
    PINTLE_ASSIGN_OR_RETURN(auto response, connection_->exchange(out, std::move(stop)));
    return ports::HttpReply{response.status, std::move(response.body), response.retry_after};
  }

 private:
  const std::unique_ptr<ApiConnection> connection_;
  const Headers headers_;
};

}  // namespace pintle::kube
