// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/api_connection.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "codec/objects.h"
#include "kube/http_client.h"
#include "kube/pause.h"

namespace pintle::kube {

class ApiConnection::Client : public HttpClient {
 public:
  using HttpClient::HttpClient;
};

// Holds the connection for one request.
struct ApiConnection::Turn {
  explicit Turn(ApiConnection& connection) : connection_(connection) {}
  ~Turn() { connection_.end_turn(); }
  Turn(const Turn&) = delete;
  Turn& operator=(const Turn&) = delete;
  ApiConnection& connection_;
};

Result<std::unique_ptr<ApiConnection>> ApiConnection::create(const Kubeconfig& config, const Clock& clock, ApiConnectionOptions options) {
  auto interrupt = Interrupt::create();
  if (!interrupt) return std::unexpected(with_context(std::move(interrupt).error(), fmt::format("make connection '{}'", options.name)));
  auto client = std::make_unique<Client>(config, clock, *std::move(interrupt), fmt::format("pintled/0.1 ({})", options.name));
  return std::unique_ptr<ApiConnection>(new ApiConnection(std::move(client), clock, std::move(options)));
}

ApiConnection::ApiConnection(std::unique_ptr<Client> client, const Clock& clock, ApiConnectionOptions options)
    : clock_(clock), options_(std::move(options)), client_(std::move(client)) {}
ApiConnection::~ApiConnection() = default;

const Kubeconfig& ApiConnection::config() const { return client_->config(); }

Status ApiConnection::take_turn(SteadyTime deadline, std::stop_token stop) {
  MutexLock lock(mu_);
  const auto free = [this]() PINTLE_REQUIRES(mu_) { return !busy_; };
  if (!turn_free_.wait_for(mu_, stop, deadline - clock_.steady(), free)) {
    if (stop.stop_requested()) return fail(Code::kCancelled, fmt::format("wait for connection '{}': stopped", options_.name));
    return fail(Code::kUnavailable, fmt::format("wait for connection '{}': deadline exceeded", options_.name));
  }
  busy_ = true;
  return {};
}

void ApiConnection::end_turn() {
  {
    MutexLock lock(mu_);
    busy_ = false;
  }
  turn_free_.notify_one();
}

void ApiConnection::reset() {
  if (!take_turn(clock_.steady(), {})) return;  // a request is under way and will end by its own deadline
  const Turn turn(*this);
  client_->disconnect();
}

int ApiConnection::socket_for_test() {
  if (!take_turn(clock_.steady(), {})) return -1;
  const Turn turn(*this);
  return client_->fd();
}

Result<HttpResponse> ApiConnection::exchange_by(const HttpRequest& request, SteadyTime deadline, std::stop_token stop) {
  if (options_.limiter != nullptr) PINTLE_TRY(options_.limiter->acquire(stop));
  PINTLE_TRY(take_turn(deadline, stop));
  const Turn turn(*this);
  return client_->send(request, {.head_deadline = deadline, .body_deadline = deadline, .max_body = options_.max_body, .on_data = nullptr},
                       stop);
}

SteadyTime ApiConnection::deadline_of(const HttpRequest& request) const {
  return clock_.steady() + (request.deadline == Duration() ? options_.deadline : std::min(request.deadline, options_.deadline));
}

Result<HttpResponse> ApiConnection::exchange(const HttpRequest& request, std::stop_token stop) {
  auto response = exchange_by(request, deadline_of(request), stop);
  if (!response) return std::unexpected(with_context(std::move(response).error(), fmt::format("{} {}", request.method, request.path)));
  return response;
}

Result<std::string> ApiConnection::request(const HttpRequest& request, std::stop_token stop) {
  const SteadyTime deadline = deadline_of(request);
  const std::string what = fmt::format("{} {}", request.method, request.path);
  for (;;) {
    auto response = exchange_by(request, deadline, stop);
    if (!response) return std::unexpected(with_context(std::move(response).error(), what));
    if (response->status >= 200 && response->status < 300) return std::move(response->body);
    // 429 says that the request was not begun, so any method may be repeated.
    const Duration wait = response->retry_after.value_or(std::chrono::seconds(1));
    if (response->status != 429 || clock_.steady() + wait >= deadline) return std::unexpected(error_from_response(*response, what));
    if (!pause_for(jittered(wait, 0.1), stop)) return fail(Code::kCancelled, what + ": stopped while the server asked to wait");
  }
}

Result<HttpResponse> ApiConnection::stream(const std::string& path, Duration lifetime, const std::function<bool(std::string_view)>& on_data,
                                           std::stop_token stop) {
  const SteadyTime now = clock_.steady();
  const std::string what = fmt::format("GET {}", path);
  PINTLE_TRY(take_turn(now + options_.deadline, stop));
  const Turn turn(*this);
  auto response = client_->send(
      {.path = path},
      {.head_deadline = now + options_.deadline, .body_deadline = now + lifetime, .max_body = options_.max_body, .on_data = on_data}, stop);
  if (!response) return std::unexpected(with_context(std::move(response).error(), what));
  return response;
}

Error error_from_response(const HttpResponse& response, std::string_view what) {
  std::string reason, message;
  if (auto status = codec::decode_status(response.body)) {
    reason = status->reason;
    message = status->message;
  }
  if (message.empty()) {
    std::string_view text = response.body;
    message = text.substr(0, std::min<size_t>(text.find('\n'), 200));
  }
  Code code = Code::kInvalid;
  switch (response.status) {
    case 404: code = Code::kNotFound; break;
    case 409: code = reason == "AlreadyExists" ? Code::kAlreadyExists : Code::kGone; break;
    case 410: code = Code::kGone; break;
    case 401:  // a token may be renewed, a role bound, the node authorizer's graph catch up: all heal by retrying
    case 403:
    case 408:
    case 429: code = Code::kUnavailable; break;
    default:
      if (response.status >= 500) code = Code::kUnavailable;
      if (response.status < 400) code = Code::kInternal;
      break;
  }
  return Error{
      code, response.status == 403 ? EACCES : 0,
      fmt::format("{}: {}{}{}{}", what, response.status, reason.empty() ? "" : " " + reason, message.empty() ? "" : ": ", message)};
}

std::string percent_encode(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || std::strchr("-_.~", c) != nullptr;
    if (plain && c != '\0')
      out += c;
    else
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

}  // namespace pintle::kube
