// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One connection as cpp-httplib's Stream, TLS on loopback or plain on a Unix socket: non-blocking socket, every wait also wakes when
// the server stops. cpp-httplib's own stream looks at an idle connection a hundred times a second; this one sleeps until something happens.
// Thread rule: the connection's worker thread only.
#pragma once

#include <httplib.h>

#include <chrono>
#include <memory>

#include "base/unique_fd.h"

namespace pintle::standalone {

class ConnectionStream final : public httplib::Stream {
 public:
  // `ssl` null: without TLS. REQUIRES: `stop_fd` becomes readable, for good, when the server stops.
  ConnectionStream(UniqueFd socket, SSL* ssl, int stop_fd) : socket_(std::move(socket)), ssl_(ssl), stop_fd_(stop_fd) {}
  ~ConnectionStream() override;

  [[nodiscard]] bool handshake();
  // Waits for the next request's first bytes. false: closed, idle for too long, or the server stops.
  [[nodiscard]] bool wait_for_request(std::chrono::milliseconds idle);
  // Whether the peer has gone away, without waiting. For long answers that have nothing to write.
  [[nodiscard]] bool peer_gone();
  // The connection can't be used for another request: part of this one was left unread.
  void end_after_answer() { ends_after_answer_ = true; }
  [[nodiscard]] bool ends_after_answer() const { return ends_after_answer_; }
  [[nodiscard]] int stop_fd() const { return stop_fd_; }
  [[nodiscard]] bool stopping() const;
  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }

  bool is_readable() const override;
  bool is_writable() const override;
  ssize_t read(char* data, size_t size) override;
  ssize_t write(const char* data, size_t size) override;
  void get_remote_ip_and_port(std::string& ip, int& port) const override;
  void get_local_ip_and_port(std::string& ip, int& port) const override;
  socket_t socket() const override { return socket_.get(); }

 private:
  struct Free {
    void operator()(SSL* ssl) const { SSL_free(ssl); }
  };
  enum class Step { kDone, kEnd, kWantRead, kWantWrite, kFailed };  // kEnd: the peer's orderly one
  // Without waiting. `got`, `sent`: with kDone.
  [[nodiscard]] Step receive(char* data, size_t size, int flags, size_t& got);
  [[nodiscard]] Step send(const char* data, size_t size, size_t& sent);
  [[nodiscard]] Step step_of(int result);  // of OpenSSL
  [[nodiscard]] static Step step_of_errno(Step wish);
  // Waits until the wish can be met. false: failed, timed out, stopped.
  [[nodiscard]] bool wait_for(Step wish, std::chrono::milliseconds timeout);
  [[nodiscard]] bool poll_socket(short events, std::chrono::milliseconds timeout) const;

  UniqueFd socket_;
  std::unique_ptr<SSL, Free> ssl_;
  const int stop_fd_;
  bool broken_ = false;
  bool ends_after_answer_ = false;
};

}  // namespace pintle::standalone
