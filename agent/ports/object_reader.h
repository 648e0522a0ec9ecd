// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to the config objects a pod refers to. Thread rule: any thread. Errors: kNotFound, kUnavailable (see is_refused), kCancelled.
#pragma once

#include <cerrno>
#include <stop_token>
#include <string>

#include "base/result.h"
#include "model/node.h"

namespace pintle::ports {

struct TokenRequest {
  std::string namespace_, service_account, pod_name, pod_uid, audience;
  int64_t expiration_seconds = 3600;
};
struct IssuedToken {
  std::string token;
  Time expires_at;
};

// The API has answered, and does not let this node have it: what was known before does not stand in for it. It may be granted later.
[[nodiscard]] inline bool is_refused(const Error& error) { return error.code == Code::kUnavailable && error.sys_errno == EACCES; }

class ObjectReader {
 public:
  virtual ~ObjectReader() = default;
  [[nodiscard]] virtual Result<model::ConfigMap> get_config_map(const std::string& namespace_, const std::string& name,
                                                                std::stop_token stop) = 0;
  [[nodiscard]] virtual Result<model::Secret> get_secret(const std::string& namespace_, const std::string& name, std::stop_token stop) = 0;
  // kUnsupported where the API has no tokens to give.
  [[nodiscard]] virtual Result<IssuedToken> request_token(const TokenRequest& request, std::stop_token stop) = 0;
};

}  // namespace pintle::ports
