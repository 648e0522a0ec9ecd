// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/wire.h"

#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

#include "base/rest.h"
#include "kube/tls.h"

namespace pintle::kube {
namespace {

Result<SocketAddress> address_of(const std::string& socket) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (socket.size() >= sizeof name.sun_path)
    return fail(Code::kInvalid, fmt::format("connect to 'unix:{}': longer than a socket's name may be", socket));
  socket.copy(name.sun_path, sizeof name.sun_path - 1);
  SocketAddress address;
  std::memcpy(&address.name, &name, sizeof name);
  address.size = sizeof name;
  return address;
}

}  // namespace

Result<Interrupt> Interrupt::create() {
  UniqueFd fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fd.valid()) return fail_errno(errno, "eventfd");
  return Interrupt(std::move(fd));
}
void Interrupt::raise() const {
  const uint64_t one = 1;
  (void)!::write(fd_.get(), &one, sizeof one);  // fails only at 2^64-2 raises
}
void Interrupt::lower() const {
  uint64_t count = 0;
  (void)!::read(fd_.get(), &count, sizeof count);  // EAGAIN: it was down
}

Status set_liveness_options(int fd) {
  // 5 s idle, then a probe each 3 s. With a user timeout set the kernel gives up at the first probe that falls due after
  // it (tcp_keepalive_timer), whatever the count: 5+3+3+3 = 14 s. Unacknowledged data is given up after 12 s.
  struct Option {
    int level, name, value;
    const char* text;
  };
  static constexpr Option kOptions[] = {{SOL_SOCKET, SO_KEEPALIVE, 1, "SO_KEEPALIVE"},
                                        {IPPROTO_TCP, TCP_KEEPIDLE, 5, "TCP_KEEPIDLE"},
                                        {IPPROTO_TCP, TCP_KEEPINTVL, 3, "TCP_KEEPINTVL"},
                                        {IPPROTO_TCP, TCP_KEEPCNT, 3, "TCP_KEEPCNT"},
                                        {IPPROTO_TCP, TCP_USER_TIMEOUT, 12000, "TCP_USER_TIMEOUT"},
                                        {IPPROTO_TCP, TCP_NODELAY, 1, "TCP_NODELAY"}};
  for (const auto& option : kOptions)
    if (::setsockopt(fd, option.level, option.name, &option.value, sizeof option.value) != 0)
      return fail_errno(errno, fmt::format("set socket option {}", option.text));
  return {};
}

Status Wire::wait(short events, SteadyTime deadline, std::string_view what) const {
  pollfd fds[2] = {{raw_, events, 0}, {interrupt_->fd(), POLLIN, 0}};
  for (;;) {
    int timeout = -1;
    if (deadline != kNoDeadline) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - clock_->steady()).count();
      timeout = static_cast<int>(std::clamp<int64_t>(left, 0, 3'600'000));
    }
    const int n = poll_at_rest(fds, timeout);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return fail_errno(errno, what);
    if (fds[1].revents != 0) return fail(Code::kCancelled, fmt::format("{}: stopped", what));
    if (n > 0) return {};  // readable, writable, or an error that the next call will name
    if (clock_->steady() >= deadline) return fail(Code::kUnavailable, fmt::format("{}: deadline exceeded", what));
  }
}

Result<std::vector<SocketAddress>> resolve(const Kubeconfig& config) {
  if (!config.socket.empty()) {
    PINTLE_ASSIGN_OR_RETURN(const auto address, address_of(config.socket));
    return std::vector{address};
  }
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_NUMERICSERV;
  addrinfo* found = nullptr;
  const std::string what = fmt::format("connect to '{}'", config.peer());
  if (const int rc = ::getaddrinfo(config.host.c_str(), std::to_string(config.port).c_str(), &hints, &found); rc != 0)
    return fail(Code::kUnavailable, fmt::format("{}: {}", what, rc == EAI_SYSTEM ? std::strerror(errno) : ::gai_strerror(rc)));
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> addresses(found, &::freeaddrinfo);
  std::vector<SocketAddress> out;
  for (const addrinfo* at = addresses.get(); at != nullptr; at = at->ai_next) {
    auto& address = out.emplace_back();
    address.size = std::min<socklen_t>(at->ai_addrlen, sizeof address.name);
    std::memcpy(&address.name, at->ai_addr, address.size);
  }
  if (out.empty()) return fail(Code::kUnavailable, what + ": no address");
  return out;
}

Result<UniqueFd> begin_connect(const SocketAddress& address, const std::string& what) {
  UniqueFd fd(::socket(address.name.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail_errno(errno, what);
  if (address.name.ss_family != AF_UNIX) PINTLE_TRY(set_liveness_options(fd.get()));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.name), address.size) != 0 && errno != EINPROGRESS)
    return std::unexpected(Error{Code::kUnavailable, errno, fmt::format("{}: {}", what, std::strerror(errno))});
  return fd;
}

Status connected(int fd, const std::string& what) {
  int err = 0;
  socklen_t size = sizeof err;
  if (::getsockopt(fd, SOL_SOCKET, SO_ERROR, &err, &size) != 0) err = errno;
  if (err != 0) return std::unexpected(Error{Code::kUnavailable, err, fmt::format("{}: {}", what, std::strerror(err))});
  return {};
}

Result<Wire> Wire::connect(const Kubeconfig& config, const Clock& clock, const Interrupt& interrupt, SteadyTime deadline) {
  PINTLE_ASSIGN_OR_RETURN(const auto addresses, resolve(config));
  const std::string what = fmt::format("connect to '{}'", config.peer());
  Error last;
  for (const auto& address : addresses) {
    auto fd = begin_connect(address, what);
    if (!fd) {
      last = std::move(fd).error();
      continue;
    }
    Wire wire(*std::move(fd), clock, interrupt);
    PINTLE_TRY(wire.wait(POLLOUT, deadline, what));
    if (auto made = connected(wire.raw_, what); !made) {
      last = std::move(made).error();
      continue;
    }
    if (config.uses_tls()) PINTLE_TRY(wire.handshake(config, deadline));
    return wire;
  }
  return std::unexpected(std::move(last));
}

Status Wire::handshake(const Kubeconfig& config, SteadyTime deadline) {
  PINTLE_ASSIGN_OR_RETURN(TlsContextPtr context, config.tls_contexts->get(config));
  PINTLE_ASSIGN_OR_RETURN(TlsSessionPtr session, make_tls_session(*context, config, raw_));
  ssl_.reset(session.release());
  const std::string what = fmt::format("TLS handshake with '{}'", config.peer());
  for (;;) {
    const TlsStep step = tls_connect(*ssl_);
    if (step.wait_events != 0) {
      PINTLE_TRY(wait(step.wait_events, deadline, what));
      continue;
    }
    if (!step.error.empty()) return fail(Code::kUnavailable, fmt::format("{}: {}", what, step.error));
    return {};
  }
}

Result<size_t> Wire::read(char* data, size_t size, SteadyTime deadline) {
  for (;;) {
    if (ssl_) {
      const TlsStep step = tls_read(*ssl_, data, size);
      if (step.wait_events != 0) {
        PINTLE_TRY(wait(step.wait_events, deadline, "read"));
        continue;
      }
      if (!step.error.empty()) return fail(Code::kUnavailable, "read: " + step.error);
      return step.bytes;
    }
    const ssize_t n = ::recv(raw_, data, size, 0);
    if (n >= 0) return static_cast<size_t>(n);
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
      return std::unexpected(Error{Code::kUnavailable, errno, fmt::format("read: {}", std::strerror(errno))});
    PINTLE_TRY(wait(POLLIN, deadline, "read"));
  }
}

Status Wire::write(std::string_view data, SteadyTime deadline) {
  while (!data.empty()) {
    if (ssl_) {
      const TlsStep step = tls_write(*ssl_, data);
      if (step.wait_events != 0) {
        PINTLE_TRY(wait(step.wait_events, deadline, "write"));
        continue;
      }
      if (!step.error.empty()) return fail(Code::kUnavailable, "write: " + step.error);
      data.remove_prefix(step.bytes);
      continue;
    }
    const ssize_t n = ::send(raw_, data.data(), data.size(), MSG_NOSIGNAL);
    if (n >= 0) {
      data.remove_prefix(static_cast<size_t>(n));
      continue;
    }
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
      return std::unexpected(Error{Code::kUnavailable, errno, fmt::format("write: {}", std::strerror(errno))});
    PINTLE_TRY(wait(POLLOUT, deadline, "write"));
  }
  return {};
}

void Wire::FreeSsl::operator()(SSL* ssl) const { free_tls_session(ssl); }

}  // namespace pintle::kube
