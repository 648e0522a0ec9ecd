// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/connection_stream.h"

#include <openssl/err.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>

#include "base/rest.h"

namespace pintle::standalone {
namespace {
constexpr std::chrono::milliseconds kHandshake{10'000}, kRead{30'000};
constexpr std::chrono::milliseconds kWrite{300'000};  // a reader that is paused in its pager is no dead one
}  // namespace

ConnectionStream::~ConnectionStream() {
  if (ssl_ && !broken_ && SSL_is_init_finished(ssl_.get()) == 1)
    (void)SSL_shutdown(ssl_.get());  // says goodbye; the answer isn't waited for
  ERR_clear_error();
}

bool ConnectionStream::poll_socket(short events, std::chrono::milliseconds timeout) const {
  std::array<pollfd, 2> wait{pollfd{socket_.get(), events, 0}, pollfd{stop_fd_, POLLIN, 0}};
  int ready = 0;
  do {
    ready = poll_at_rest(wait, static_cast<int>(timeout.count()));
  } while (ready < 0 && errno == EINTR);
  return ready > 0 && wait[1].revents == 0;
}

bool ConnectionStream::stopping() const {
  pollfd wait{stop_fd_, POLLIN, 0};
  return ::poll(&wait, 1, 0) > 0;
}

ConnectionStream::Step ConnectionStream::step_of(int result) {
  if (result == 1) return Step::kDone;
  const int error = SSL_get_error(ssl_.get(), result);
  ERR_clear_error();
  switch (error) {
    case SSL_ERROR_WANT_READ: return Step::kWantRead;
    case SSL_ERROR_WANT_WRITE: return Step::kWantWrite;
    case SSL_ERROR_ZERO_RETURN: return Step::kEnd;
    default: return Step::kFailed;
  }
}

ConnectionStream::Step ConnectionStream::step_of_errno(Step wish) {
  return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? wish : Step::kFailed;
}

ConnectionStream::Step ConnectionStream::receive(char* data, size_t size, int flags, size_t& got) {
  if (ssl_) {
    ERR_clear_error();
    return step_of(flags == MSG_PEEK ? SSL_peek_ex(ssl_.get(), data, size, &got) : SSL_read_ex(ssl_.get(), data, size, &got));
  }
  const ssize_t n = ::recv(socket_.get(), data, size, flags);
  if (n < 0) return step_of_errno(Step::kWantRead);
  got = static_cast<size_t>(n);
  return n == 0 ? Step::kEnd : Step::kDone;
}

ConnectionStream::Step ConnectionStream::send(const char* data, size_t size, size_t& sent) {
  if (ssl_) {
    ERR_clear_error();
    return step_of(SSL_write_ex(ssl_.get(), data, size, &sent));
  }
  const ssize_t n = ::send(socket_.get(), data, size, MSG_NOSIGNAL);
  if (n < 0) return step_of_errno(Step::kWantWrite);
  sent = static_cast<size_t>(n);
  return Step::kDone;
}

bool ConnectionStream::wait_for(Step wish, std::chrono::milliseconds timeout) {
  if (wish == Step::kWantRead) return poll_socket(POLLIN, timeout);
  if (wish == Step::kWantWrite) return poll_socket(POLLOUT, timeout);
  broken_ = true;
  return false;
}

bool ConnectionStream::handshake() {
  while (ssl_) {
    ERR_clear_error();
    const Step step = step_of(SSL_accept(ssl_.get()));
    if (step == Step::kDone) return true;
    if (!wait_for(step, kHandshake)) {
      broken_ = true;
      return false;
    }
  }
  return true;
}

bool ConnectionStream::wait_for_request(std::chrono::milliseconds idle) {
  char byte = 0;
  size_t got = 0;
  while (true) {
    const Step step = receive(&byte, 1, MSG_PEEK, got);
    if (step == Step::kDone) return !stopping();
    if (!wait_for(step, idle)) return false;
  }
}

bool ConnectionStream::peer_gone() {
  char byte = 0;
  size_t got = 0;
  const Step step = receive(&byte, 1, MSG_PEEK, got);  // kDone: it sends ahead, so it is alive
  return step == Step::kEnd || step == Step::kFailed;
}

bool ConnectionStream::is_readable() const { return !broken_ && ((ssl_ && SSL_pending(ssl_.get()) > 0) || poll_socket(POLLIN, kRead)); }
bool ConnectionStream::is_writable() const { return !broken_ && poll_socket(POLLOUT, kWrite); }

ssize_t ConnectionStream::read(char* data, size_t size) {
  while (!broken_) {
    size_t got = 0;
    const Step step = receive(data, size, 0, got);
    if (step == Step::kDone) return static_cast<ssize_t>(got);
    if (step == Step::kEnd) return 0;
    if (!wait_for(step, kRead)) return -1;
  }
  return -1;
}

ssize_t ConnectionStream::write(const char* data, size_t size) {
  if (size == 0) return 0;
  while (!broken_) {
    size_t sent = 0;
    const Step step = send(data, size, sent);
    if (step == Step::kDone) return static_cast<ssize_t>(sent);
    if (!wait_for(step, kWrite)) {
      broken_ = true;
      return -1;
    }
  }
  return -1;
}

void ConnectionStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip = "127.0.0.1";  // only loopback can reach us
  port = 0;
}
void ConnectionStream::get_local_ip_and_port(std::string& ip, int& port) const { get_remote_ip_and_port(ip, port); }

}  // namespace pintle::standalone
