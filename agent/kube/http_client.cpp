// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/http_client.h"

#include <array>
#include <cstring>

#include <fmt/format.h>

#include "base/trace_context.h"
#include "kube/retry_after.h"

namespace pintle::kube {
namespace {

constexpr size_t kHeadBudget = 256 * 1024;
// httplib matches the status line with std::regex, whose stack use grows with the line.
constexpr size_t kStatusLineBudget = 1024;
constexpr Duration kTokenReread = std::chrono::seconds(60);

}  // namespace

// httplib reads the head byte by byte: buffered here.
class HttpClient::WireStream final : public httplib::Stream {
 public:
  explicit WireStream(HttpClient& client) : client_(client) {}
  bool is_readable() const override { return true; }
  bool is_writable() const override { return true; }
  ssize_t read(char* data, size_t size) override {
    if (begin_ == end_) {
      auto n = client_.wire_->read(buffer_.data(), buffer_.size(), client_.deadline_);
      if (!n) {
        client_.cause_ = std::move(n).error();
        return -1;
      }
      if (*n == 0) return 0;
      client_.heard_ = true;
      begin_ = 0;
      end_ = *n;
    }
    const size_t taken = std::min(size, end_ - begin_);
    std::memcpy(data, buffer_.data() + begin_, taken);
    begin_ += taken;
    return charge_head(data, taken) ? static_cast<ssize_t>(taken) : -1;
  }
  ssize_t write(const char* data, size_t size) override {
    if (auto ok = client_.wire_->write({data, size}, client_.deadline_); !ok) {
      client_.cause_ = std::move(ok).error();
      return -1;
    }
    return static_cast<ssize_t>(size);
  }
  void get_remote_ip_and_port(std::string&, int&) const override {}
  void get_local_ip_and_port(std::string&, int&) const override {}
  socket_t socket() const override { return client_.wire_->fd(); }

 private:
  bool charge_head(const char* data, size_t size) {
    if (!client_.in_head_) return true;
    if (client_.first_line_ && std::memchr(data, '\n', size) != nullptr) {
      client_.first_line_ = false;
      client_.head_budget_ = kHeadBudget;
    }
    if (size <= client_.head_budget_) {
      client_.head_budget_ -= size;
      return true;
    }
    client_.cause_ = Error{Code::kUnavailable, 0,
                           client_.first_line_ ? "not an HTTP response: the first line does not end" : "the response's head is too large"};
    return false;
  }
  HttpClient& client_;
  std::array<char, 4096> buffer_;  // on the stack of every thread that watches
  size_t begin_ = 0, end_ = 0;
};

HttpClient::HttpClient(const Kubeconfig& config, const Clock& clock, Interrupt interrupt, std::string user_agent)
    : httplib::ClientImpl(config.host, config.port),
      config_(config),
      clock_(clock),
      interrupt_(std::move(interrupt)),
      user_agent_(std::move(user_agent)) {
  host_header_ = config.host_header();
  set_keep_alive(true);
  set_follow_location(false);
  set_url_encode(false);
  set_decompress(false);
}
HttpClient::~HttpClient() = default;

bool HttpClient::create_and_connect_socket(Socket& socket, httplib::Error& error) {
  connected_now_ = true;
  auto wire = Wire::connect(config_, clock_, interrupt_, deadline_);
  if (!wire) {
    cause_ = std::move(wire).error();
    error = httplib::Error::Connection;
    return false;
  }
  wire_.emplace(*std::move(wire));
  socket.sock = wire_->release_fd();  // httplib closes it, always after shutdown_ssl()
  return true;
}

void HttpClient::shutdown_ssl(Socket& /*socket*/, bool /*gracefully*/) { wire_.reset(); }

bool HttpClient::process_socket(const Socket& /*socket*/, std::function<bool(httplib::Stream&)> callback) {
  WireStream stream(*this);
  return callback(stream);
}

void HttpClient::disconnect() { stop(); }

Result<std::string> HttpClient::bearer_token() {
  if (!config_.token.given()) return std::string();
  const SteadyTime now = clock_.steady();
  if (!token_.empty() && (config_.token.file.empty() || now - token_read_at_ < kTokenReread)) return token_;
  PINTLE_ASSIGN_OR_RETURN(token_, config_.read_token());
  token_read_at_ = now;
  return token_;
}

Error HttpClient::failure(httplib::Error error) {
  if (cause_) return *std::move(cause_);
  if (error == httplib::Error::Read) return Error{Code::kUnavailable, 0, "the connection closed before the response was complete"};
  return Error{Code::kUnavailable, 0, httplib::to_string(error)};
}

Result<HttpResponse> HttpClient::send_once(const HttpRequest& request, const Terms& terms) {
  connected_now_ = heard_ = false;
  cause_.reset();
  deadline_ = terms.head_deadline;
  in_head_ = first_line_ = true;
  head_budget_ = kStatusLineBudget;

  httplib::Request out;
  out.method = request.method;
  out.path = config_.path_prefix + request.path;
  out.body = request.body;
  out.set_header("Host", host_header_);
  for (const auto& [name, value] : request.headers) out.set_header(name.c_str(), value);
  if (!out.has_header("Accept")) out.set_header("Accept", std::string(kJson));
  // Whoever works in a trace takes the server into it.
  if (const auto* trace = current_trace()) out.set_header(std::string(kTraceparent).c_str(), format_traceparent(*trace));
  out.set_header("User-Agent", user_agent_);
  if (!request.body.empty()) out.set_header("Content-Type", request.content_type);
  PINTLE_ASSIGN_OR_RETURN(const std::string token, bearer_token());
  if (!token.empty())
    out.set_header("Authorization", "Bearer " + token);
  else if (!config_.basic_user.empty())
    out.headers.insert(httplib::make_basic_authentication_header(config_.basic_user, config_.basic_password));

  HttpResponse response;
  bool streaming = false, ended_by_receiver = false;
  const auto too_large = [&] {
    cause_ = Error{Code::kInternal, 0, fmt::format("the response is larger than {} bytes", terms.max_body)};
    return false;
  };
  out.response_handler = [&](const httplib::Response& head) {
    in_head_ = false;
    streaming = terms.on_data && head.status == 200;
    if (streaming) deadline_ = terms.body_deadline;
    if (!streaming && head.get_header_value<uint64_t>("Content-Length") > terms.max_body) return too_large();
    return true;
  };
  out.content_receiver = [&](const char* data, size_t size, uint64_t, uint64_t) {
    if (streaming) {
      ended_by_receiver = !terms.on_data({data, size});
      return !ended_by_receiver;
    }
    if (response.body.size() + size > terms.max_body) return too_large();
    response.body.append(data, size);
    return true;
  };
  httplib::Response in;
  auto error = httplib::Error::Success;
  bool ok = false;
  try {
    ok = ClientImpl::send(out, in, error);
  } catch (const std::exception& e) {
    stop();
    return fail(Code::kUnavailable, fmt::format("read the response: {}", e.what()));
  }
  if (!ok && !ended_by_receiver) return std::unexpected(failure(error));
  response.status = in.status;
  if (in.has_header("Retry-After")) response.retry_after = parse_retry_after(in.get_header_value("Retry-After"), clock_.now());
  return response;
}

Result<HttpResponse> HttpClient::send(const HttpRequest& request, const Terms& terms, std::stop_token stop) {
  interrupt_.lower();
  // Fires at once when the stop was asked for before; destroyed before anyone else can use the interrupt.
  const std::stop_callback on_stop(stop, [this] { interrupt_.raise(); });
  auto response = send_once(request, terms);
  // A server may close an idle connection just as we write to it. Nothing was answered, so a request that may be repeated is.
  const bool stale =
      !response && response.error().code == Code::kUnavailable && !connected_now_ && !heard_ && clock_.steady() < terms.head_deadline;
  if (stale && (request.method != "POST" || request.repeatable)) response = send_once(request, terms);
  // Its body was not read to the end, or the stop left it half-way: httplib closed it already unless it did not notice.
  if (!response && response.error().code == Code::kCancelled) ClientImpl::stop();
  return response;
}

}  // namespace pintle::kube
