// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/metrics_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <thread>
#include <vector>

#include <fmt/format.h>

#include "base/unique_fd.h"

namespace pintle::telemetry {
namespace {

constexpr size_t kMostConnections = 16;
constexpr size_t kLargestRequest = size_t{8} << 10U;

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
};

Result<Address> parse_address(const std::string& text) {
  const auto bad = [&] {
    return fail(Code::kInvalid, fmt::format("metrics address '{}': write ADDRESS:PORT, such as 127.0.0.1:9810", text));
  };
  const size_t colon = text.rfind(':');
  if (colon == std::string::npos) return bad();
  std::string host = text.substr(0, colon);
  uint16_t port = 0;
  const char* const first = text.data() + colon + 1;
  const char* const last = text.data() + text.size();
  if (const auto [end, error] = std::from_chars(first, last, port); first == last || error != std::errc{} || end != last) return bad();
  if (host == "localhost") host = "127.0.0.1";
  Address address;
  auto* const v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* const v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof *v4;
    return address;
  }
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return bad();
  if (::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6->sin6_addr) != 1) return bad();
  v6->sin6_family = AF_INET6;
  v6->sin6_port = htons(port);
  address.size = sizeof *v6;
  return address;
}

Result<UniqueFd> listen_on(const Address& address, const std::string& text) {
  const std::string doing = fmt::format("listen on '{}' for metrics", text);
  UniqueFd fd(::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail_errno(errno, doing);
  const int one = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size) != 0 ||
      ::listen(fd.get(), kMostConnections) != 0) {
    auto error = error_from_errno(errno, doing);
    error.code = Code::kUnavailable;
    error.context += "; pintle.metrics.listen chooses another address, or none";
    return std::unexpected(std::move(error));
  }
  return fd;
}

int port_of(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) return 0;
  return ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&name)->sin6_port
                                          : reinterpret_cast<const sockaddr_in*>(&name)->sin_port);
}

std::string answer(std::string_view status, std::string_view body, bool with_body, std::string_view more = {}) {
  return fmt::format(
      "HTTP/1.1 {}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {}\r\nConnection: close\r\n{}\r\n{}",
      status, body.size(), more, with_body ? body : "");
}

// `request` holds the whole head.
std::string answer_to(std::string_view request, const std::function<std::string()>& page) {
  const auto line = request.substr(0, request.find("\r\n"));
  const size_t first = line.find(' '), second = line.find(' ', first == std::string_view::npos ? first : first + 1);
  if (second == std::string_view::npos || !line.substr(second + 1).starts_with("HTTP/1."))
    return answer("400 Bad Request", "not HTTP/1.1\n", true);
  const auto method = line.substr(0, first);
  auto path = line.substr(first + 1, second - first - 1);
  path = path.substr(0, path.find('?'));
  const bool with_body = method != "HEAD";
  if (method != "GET" && method != "HEAD") return answer("405 Method Not Allowed", "only GET\n", true, "Allow: GET, HEAD\r\n");
  if (path != "/metrics") return answer("404 Not Found", "metrics are at /metrics\n", with_body);
  return answer("200 OK", page(), with_body);
}

struct Connection {
  UniqueFd fd;
  SteadyTime until;
  std::string in, out;
  size_t sent = 0;
  bool finished = false;
};

class PollServer final : public MetricsServer {
 public:
  PollServer(MetricsServerOptions options, UniqueFd listener, UniqueFd wake)
      : options_(std::move(options)),
        listener_(std::move(listener)),
        wake_(std::move(wake)),
        port_(port_of(listener_.get())),
        thread_([this] { serve(); }) {}
  ~PollServer() override {
    const uint64_t one = 1;
    (void)!::write(wake_.get(), &one, sizeof one);  // an eventfd that nobody reads stays ready
    thread_.join();
  }
  [[nodiscard]] int port() const override { return port_; }

 private:
  void serve() {
    for (;;) {
      std::vector<pollfd> fds{{wake_.get(), POLLIN, 0}};
      // A full house is no reason to spin: callers wait in the listen queue meanwhile.
      fds.push_back({connections_.size() < kMostConnections ? listener_.get() : -1, POLLIN, 0});
      for (const auto& connection : connections_)
        fds.push_back({connection.fd.get(), static_cast<short>(connection.out.empty() ? POLLIN : POLLOUT), 0});
      const int ready = ::poll(fds.data(), fds.size(), timeout_ms());
      if (ready < 0 && errno != EINTR) return;
      if (ready > 0 && fds[0].revents != 0) return;
      for (size_t i = 0; i < connections_.size(); ++i)
        if (ready > 0 && fds[i + 2].revents != 0) go_on(connections_[i]);
      const auto now = options_.clock->steady();
      std::erase_if(connections_, [&](const Connection& connection) { return connection.finished || connection.until <= now; });
      if (ready > 0 && fds[1].revents != 0) accept_one(now);
    }
  }

  // Rounded up: a deadline that is a little ahead must not become a busy loop.
  [[nodiscard]] int timeout_ms() const {
    if (connections_.empty()) return -1;
    const auto first = std::ranges::min_element(connections_, {}, &Connection::until)->until;
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(first - options_.clock->steady()).count();
    return static_cast<int>(std::clamp<int64_t>(left, 0, 60'000));
  }

  void accept_one(SteadyTime now) {
    UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (fd.valid()) {
      connections_.push_back({std::move(fd), now + options_.patience, {}, {}, 0, false});
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      pollfd pause{wake_.get(), POLLIN, 0};  // the caller stays in the queue: look again soon
      (void)::poll(&pause, 1, 100);
    }
  }

  void go_on(Connection& connection) {
    if (connection.out.empty()) receive(connection);
    if (!connection.out.empty()) send(connection);
  }

  void receive(Connection& connection) {
    char buffer[2048];
    const ssize_t n = ::recv(connection.fd.get(), buffer, sizeof buffer, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n <= 0) {
      connection.finished = true;
      return;
    }
    connection.in.append(buffer, static_cast<size_t>(n));
    if (connection.in.find("\r\n\r\n") != std::string::npos)
      connection.out = answer_to(connection.in, options_.page);
    else if (connection.in.size() > kLargestRequest)
      connection.out = answer("431 Request Header Fields Too Large", "the request is too large\n", true);
  }

  static void send(Connection& connection) {
    while (connection.sent < connection.out.size()) {
      const ssize_t n =
          ::send(connection.fd.get(), connection.out.data() + connection.sent, connection.out.size() - connection.sent, MSG_NOSIGNAL);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return;
      if (n < 0) break;
      connection.sent += static_cast<size_t>(n);
    }
    connection.finished = true;
  }

  const MetricsServerOptions options_;
  const UniqueFd listener_, wake_;
  const int port_;
  std::vector<Connection> connections_;  // own thread
  std::thread thread_;                   // blocks in poll(2)
};

}  // namespace

Result<std::unique_ptr<MetricsServer>> MetricsServer::start(MetricsServerOptions options) {
  PINTLE_ASSIGN_OR_RETURN(const auto address, parse_address(options.listen));
  PINTLE_ASSIGN_OR_RETURN(auto listener, listen_on(address, options.listen));
  UniqueFd wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return fail_errno(errno, "make an eventfd");
  return std::make_unique<PollServer>(std::move(options), std::move(listener), std::move(wake));
}

}  // namespace pintle::telemetry
