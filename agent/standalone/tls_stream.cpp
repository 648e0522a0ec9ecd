// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/tls_stream.h"

#include <openssl/err.h>
#include <poll.h>

#include <array>
#include <cerrno>

#include "base/rest.h"

namespace pintle::standalone {
namespace {
constexpr std::chrono::milliseconds kHandshake{10'000}, kRead{30'000};
constexpr std::chrono::milliseconds kWrite{300'000};  // a reader that is paused in its pager is no dead one
}  // namespace

TlsStream::~TlsStream() {
  if (!broken_ && SSL_is_init_finished(ssl_.get()) == 1) (void)SSL_shutdown(ssl_.get());  // says goodbye; the answer isn't waited for
  ERR_clear_error();
}

bool TlsStream::poll_socket(short events, std::chrono::milliseconds timeout) const {
  std::array<pollfd, 2> wait{pollfd{socket_.get(), events, 0}, pollfd{stop_fd_, POLLIN, 0}};
  int ready = 0;
  do {
    ready = poll_at_rest(wait, static_cast<int>(timeout.count()));
  } while (ready < 0 && errno == EINTR);
  return ready > 0 && wait[1].revents == 0;
}

bool TlsStream::stopping() const {
  pollfd wait{stop_fd_, POLLIN, 0};
  return ::poll(&wait, 1, 0) > 0;
}

bool TlsStream::wait_for(int result, std::chrono::milliseconds timeout) {
  const int error = SSL_get_error(ssl_.get(), result);
  ERR_clear_error();
  if (error == SSL_ERROR_WANT_READ) return poll_socket(POLLIN, timeout);
  if (error == SSL_ERROR_WANT_WRITE) return poll_socket(POLLOUT, timeout);
  broken_ = true;
  return false;
}

bool TlsStream::handshake() {
  while (true) {
    ERR_clear_error();
    const int result = SSL_accept(ssl_.get());
    if (result == 1) return true;
    if (!wait_for(result, kHandshake)) {
      broken_ = true;
      return false;
    }
  }
}

bool TlsStream::wait_for_request(std::chrono::milliseconds idle) {
  char byte = 0;
  while (true) {
    ERR_clear_error();
    const int result = SSL_peek(ssl_.get(), &byte, 1);
    if (result > 0) return !stopping();
    if (!wait_for(result, idle)) return false;
  }
}

bool TlsStream::peer_gone() {
  char byte = 0;
  ERR_clear_error();
  const int result = SSL_peek(ssl_.get(), &byte, 1);
  if (result > 0) return false;  // it sends ahead: alive
  const int error = SSL_get_error(ssl_.get(), result);
  ERR_clear_error();
  return error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE;
}

bool TlsStream::is_readable() const { return !broken_ && (SSL_pending(ssl_.get()) > 0 || poll_socket(POLLIN, kRead)); }
bool TlsStream::is_writable() const { return !broken_ && poll_socket(POLLOUT, kWrite); }

ssize_t TlsStream::read(char* data, size_t size) {
  while (!broken_) {
    ERR_clear_error();
    size_t got = 0;
    const int result = SSL_read_ex(ssl_.get(), data, size, &got);
    if (result == 1) return static_cast<ssize_t>(got);
    if (SSL_get_error(ssl_.get(), result) == SSL_ERROR_ZERO_RETURN) return 0;
    if (!wait_for(result, kRead)) return -1;
  }
  return -1;
}

ssize_t TlsStream::write(const char* data, size_t size) {
  if (size == 0) return 0;
  while (!broken_) {
    ERR_clear_error();
    size_t sent = 0;
    const int result = SSL_write_ex(ssl_.get(), data, size, &sent);
    if (result == 1) return static_cast<ssize_t>(sent);
    if (!wait_for(result, kWrite)) {
      broken_ = true;
      return -1;
    }
  }
  return -1;
}

void TlsStream::get_remote_ip_and_port(std::string& ip, int& port) const {
  ip = "127.0.0.1";  // only loopback can reach us
  port = 0;
}
void TlsStream::get_local_ip_and_port(std::string& ip, int& port) const { get_remote_ip_and_port(ip, port); }

}  // namespace pintle::standalone
