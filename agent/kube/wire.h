// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One byte stream to the API server, TCP, TLS or a Unix socket, whose every wait (connect, handshake, read, write) ends by data, by a
// deadline or by an interrupt. Why not httplib's own sockets (0.11.4): stop() does nothing before the socket exists and
// may not be called while it is being made; timeouts are per read, so a drip-feeding peer is never late; descriptors
// above 1023 fail in select(); the certificate is only checked against the connected host, so tls-server-name can't be.
// Only name resolution blocks without a way out; kubeconfigs of nodes carry addresses or /etc/hosts names.
// Thread rule: one thread uses a Wire; Interrupt::raise may come from any thread.
// Errors: kUnavailable (connect, reset, deadline), kCancelled, kInvalid (certificates that can't be read or don't fit).
#pragma once

#include <sys/socket.h>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/time.h"
#include "base/unique_fd.h"
#include "kube/kubeconfig.h"

using SSL = struct ssl_st;

namespace pintle::kube {

// A level that stays up until lowered, and that poll(2) can wait for.
class Interrupt {
 public:
  [[nodiscard]] static Result<Interrupt> create();
  void raise() const;
  void lower() const;
  [[nodiscard]] int fd() const { return fd_.get(); }

 private:
  explicit Interrupt(UniqueFd fd) : fd_(std::move(fd)) {}
  UniqueFd fd_;
};

class Wire {
 public:
  // kNoDeadline: only data, an error or the interrupt end a wait.
  static constexpr SteadyTime kNoDeadline = SteadyTime::max();

  // Contract: `clock` and `interrupt` outlive the Wire.
  [[nodiscard]] static Result<Wire> connect(const Kubeconfig& config, const Clock& clock, const Interrupt& interrupt, SteadyTime deadline);
  Wire(Wire&&) noexcept = default;
  Wire& operator=(Wire&&) noexcept = default;
  ~Wire() = default;

  // At least one byte; 0 is the peer's orderly end.
  [[nodiscard]] Result<size_t> read(char* data, size_t size, SteadyTime deadline);
  [[nodiscard]] Status write(std::string_view data, SteadyTime deadline);

  [[nodiscard]] int fd() const { return fd_.get(); }
  // Hands the descriptor to an owner that closes it; TLS state stays here.
  [[nodiscard]] int release_fd() { return raw_ = fd_.release(); }

 private:
  struct FreeSsl {
    void operator()(SSL* ssl) const;
  };
  Wire(UniqueFd fd, const Clock& clock, const Interrupt& interrupt)
      : fd_(std::move(fd)), raw_(fd_.get()), clock_(&clock), interrupt_(&interrupt) {}
  [[nodiscard]] Status wait(short events, SteadyTime deadline, std::string_view what) const;
  [[nodiscard]] Status handshake(const Kubeconfig& config, SteadyTime deadline);

  UniqueFd fd_;
  int raw_ = -1;
  const Clock* clock_;
  const Interrupt* interrupt_;
  std::unique_ptr<SSL, FreeSsl> ssl_;
};

struct SocketAddress {
  sockaddr_storage name{};
  socklen_t size = 0;
};
// Of the server, in the resolver's order; never empty. Blocks as long as the resolver does. kUnavailable.
[[nodiscard]] Result<std::vector<SocketAddress>> resolve(const Kubeconfig& config);
// A socket that is being connected to `address`: writable when that has ended, one way or the other.
[[nodiscard]] Result<UniqueFd> begin_connect(const SocketAddress& address, const std::string& what);
// How it has ended. kUnavailable.
[[nodiscard]] Status connected(int fd, const std::string& what);

// Keepalive and user timeout by which a dead peer is noticed within 15 s, with or without data under way. Of TCP.
[[nodiscard]] Status set_liveness_options(int fd);

}  // namespace pintle::kube
