// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One kept-alive HTTP connection to the API server. What must not wait for another (lease, pod watch, status, events,
// config objects) has a connection of its own. HTTP is cpp-httplib's, bytes are Wire's: every request ends by its
// deadline and, within milliseconds, by its stop token, in whatever phase it is.
// Thread rule: any thread; requests of one connection queue up, each within its own deadline.
// Errors: kCancelled (stopped), kUnavailable (no connection, deadline, 429/5xx/401, 403 with EACCES), kNotFound (404), kAlreadyExists and
// kGone (409 by its reason), kGone (410), kInvalid (400, 422 and other 4xx), kInternal (response beyond the size limit).
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "base/time.h"
#include "kube/kubeconfig.h"
#include "kube/rate_limiter.h"

namespace pintle::kube {

inline constexpr std::string_view kJson = "application/json";
inline constexpr std::string_view kStrategicMergePatch = "application/strategic-merge-patch+json";

struct HttpRequest {
  std::string method = "GET";
  std::string path;  // with query; already percent-encoded
  std::string body;
  std::string content_type = std::string(kJson);
  std::vector<std::pair<std::string, std::string>> headers;  // more of them; an Accept takes the place of our own
  Duration deadline{};                                       // zero, or shorter than the connection's
  bool repeatable = false;  // a POST that does no harm twice: sent again when the kept connection proves to be closed
};
struct HttpResponse {
  int status = 0;
  std::string body;
  std::optional<std::chrono::seconds> retry_after;
};

struct ApiConnectionOptions {
  std::string name;  // "lease": stands in the user agent, so that server-side logs tell connections apart
  Duration deadline = std::chrono::seconds(10);
  RateLimiter* limiter = nullptr;  // shared by bulk connections; null: unlimited. Outlives the connection
  size_t max_body = size_t{64} << 20;
};

class ApiConnection {
 public:
  // Contract: `clock` outlives the connection. Does not connect yet. kUnavailable when the process has no descriptors left.
  [[nodiscard]] static Result<std::unique_ptr<ApiConnection>> create(const Kubeconfig& config, const Clock& clock,
                                                                     ApiConnectionOptions options);
  ~ApiConnection();

  // Body of a 2xx. A 429 is repeated after its Retry-After while the deadline allows; the rest is an Error, see above.
  [[nodiscard]] Result<std::string> request(const HttpRequest& request, std::stop_token stop);
  // Whatever the server answered; an Error only when there was no complete answer.
  [[nodiscard]] Result<HttpResponse> exchange(const HttpRequest& request, std::stop_token stop);
  // A GET whose 200 body goes to `on_data` piece by piece until it ends, `on_data` says false, or `lifetime` is over. The
  // connection's deadline holds until the response head. The response's body is that of a status other than 200.
  [[nodiscard]] Result<HttpResponse> stream(const std::string& path, Duration lifetime,
                                            const std::function<bool(std::string_view)>& on_data, std::stop_token stop);

  // Closes the connection if idle, so that the next request dials anew (facts row 7.20).
  void reset();
  [[nodiscard]] const Kubeconfig& config() const;
  // Socket of the live connection, -1 when there is none.
  [[nodiscard]] int socket_for_test();

 private:
  class Client;
  struct Turn;
  explicit ApiConnection(std::unique_ptr<Client> client, const Clock& clock, ApiConnectionOptions options);
  [[nodiscard]] Status take_turn(SteadyTime deadline, std::stop_token stop);
  void end_turn();
  [[nodiscard]] SteadyTime deadline_of(const HttpRequest& request) const;
  [[nodiscard]] Result<HttpResponse> exchange_by(const HttpRequest& request, SteadyTime deadline, std::stop_token stop);

  // const after construction
  const Clock& clock_;
  const ApiConnectionOptions options_;
  // used by whoever holds the turn
  const std::unique_ptr<Client> client_;
  Mutex mu_;
  ConditionVariable turn_free_;
  bool busy_ PINTLE_GUARDED_BY(mu_) = false;
};

// The one place where an HTTP status becomes a Code. `what` is verb + object.
[[nodiscard]] Error error_from_response(const HttpResponse& response, std::string_view what);
// For one segment of a path or one value of a query.
[[nodiscard]] std::string percent_encode(std::string_view text);

}  // namespace pintle::kube
