// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/watch_connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <array>
#include <cerrno>
#include <cstring>

#include <fmt/format.h>

namespace pintle::kube {
namespace {

// As tls_read() and tls_write() tell it, without TLS.
TlsStep step_of(ssize_t n, short events) {
  if (n >= 0) return {.bytes = static_cast<size_t>(n)};
  if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {.wait_events = events};
  return {.error = std::strerror(errno)};
}

}  // namespace

Result<WatchConnection> WatchConnection::open(const Kubeconfig& config, const SocketAddress& address, SSL_CTX* context) {
  const std::string what = fmt::format("connect to '{}'", config.peer());
  PINTLE_ASSIGN_OR_RETURN(UniqueFd fd, begin_connect(address, what));
  TlsSessionPtr session;
  if (context != nullptr) {
    PINTLE_ASSIGN_OR_RETURN(session, make_tls_session(*context, config, fd.get()));
  }
  WatchConnection made(std::move(fd), std::move(session), what);
  made.events_ = POLLOUT;
  return made;
}

void WatchConnection::send(std::string request) {
  out_ = std::move(request);
  response_ = {};
  if (!established()) return;
  step_ = Step::kSend;
  events_ = POLLOUT;
}

Status WatchConnection::advance(const std::function<void(std::string_view)>& on_body) {
  for (;;) {
    PINTLE_ASSIGN_OR_RETURN(const bool moved, step(on_body));
    if (!moved) return {};
  }
}

Result<bool> WatchConnection::step(const std::function<void(std::string_view)>& on_body) {
  switch (step_) {
    case Step::kConnect:
      PINTLE_TRY(connected(fd_.get(), what_));
      step_ = session_ ? Step::kHandshake : Step::kSend;
      return true;
    case Step::kHandshake: {
      const TlsStep step = tls_connect(*session_);
      if (!step.error.empty()) return fail(Code::kUnavailable, fmt::format("{}: TLS handshake: {}", what_, step.error));
      if (step.wait_events == 0) step_ = Step::kSend;
      if (step.wait_events != 0) events_ = step.wait_events;
      return step.wait_events == 0;
    }
    case Step::kSend: return write_some();
    case Step::kReceive: return read_some(on_body);
  }
  return fail(Code::kInternal, "no such step");
}

Result<bool> WatchConnection::write_some() {
  const TlsStep step = session_ ? tls_write(*session_, out_) : step_of(::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL), POLLOUT);
  if (!step.error.empty()) return fail(Code::kUnavailable, "write: " + step.error);
  if (step.wait_events != 0) {
    events_ = step.wait_events;
    return false;
  }
  out_.erase(0, step.bytes);
  if (out_.empty()) step_ = Step::kReceive;
  return true;
}

Result<bool> WatchConnection::read_some(const std::function<void(std::string_view)>& on_body) {
  std::array<char, 16384> buffer;
  const TlsStep step =
      session_ ? tls_read(*session_, buffer.data(), buffer.size()) : step_of(::recv(fd_.get(), buffer.data(), buffer.size(), 0), POLLIN);
  if (!step.error.empty()) return fail(Code::kUnavailable, "read: " + step.error);
  if (step.wait_events != 0) {
    events_ = step.wait_events;
    return false;
  }
  if (step.bytes == 0) {
    PINTLE_TRY(response_.end());
    if (response_.state() == ResponseReader::State::kDone) return false;
  }
  PINTLE_TRY(response_.feed({buffer.data(), step.bytes}, on_body));
  return response_.state() != ResponseReader::State::kDone;
}

}  // namespace pintle::kube
