// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One connection to the API server on which nobody waits: its owner polls for many of them and moves on those that are ready. Sends one
// request at a time and reads its response. Whoever may wait uses Wire. Thread rule: its owner's. Errors: as Wire's.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/unique_fd.h"
#include "kube/response_reader.h"
#include "kube/tls.h"
#include "kube/wire.h"

namespace pintle::kube {

class WatchConnection {
 public:
  // Begins to connect. `context`: null: without TLS. It may go before the connection does.
  [[nodiscard]] static Result<WatchConnection> open(const Kubeconfig& config, const SocketAddress& address, SSL_CTX* context);

  // REQUIRES: no request is under way.
  void send(std::string request);
  // Does what can be done without waiting; pieces of the body go to `on_body`. kUnavailable: it is of no use any more.
  [[nodiscard]] Status advance(const std::function<void(std::string_view)>& on_body);

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] short events() const { return events_; }  // to be polled for
  [[nodiscard]] bool established() const { return step_ > Step::kHandshake; }
  [[nodiscard]] const ResponseReader& response() const { return response_; }

 private:
  enum class Step { kConnect, kHandshake, kSend, kReceive };
  WatchConnection(UniqueFd fd, TlsSessionPtr session, std::string what)
      : fd_(std::move(fd)), session_(std::move(session)), what_(std::move(what)) {}
  // One step; false: it has to be waited for.
  [[nodiscard]] Result<bool> step(const std::function<void(std::string_view)>& on_body);
  [[nodiscard]] Result<bool> write_some();
  [[nodiscard]] Result<bool> read_some(const std::function<void(std::string_view)>& on_body);

  UniqueFd fd_;
  TlsSessionPtr session_;
  std::string what_, out_;
  Step step_ = Step::kConnect;
  short events_;
  ResponseReader response_;
};

}  // namespace pintle::kube
