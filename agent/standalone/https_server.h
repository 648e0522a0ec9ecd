// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// cpp-httplib's request parsing and answering on connections of our own (connection_stream.h), a worker thread each: accepted on one
// loopback socket, with TLS, and on a Unix socket, without, for those who may open it. stop() ends every connection at once, watches
// included. Thread rule: create, set the handler, start; handlers run on worker threads, any number at once.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "base/time.h"
#include "base/unique_fd.h"
#include "standalone/tls_identity.h"

namespace httplib {
struct Request;
struct Response;
}  // namespace httplib

namespace pintle::standalone {

class ConnectionStream;

struct ListenAddress {
  std::string host;  // 127.0.0.1 or ::1
  int port = 0;      // 0: any
};
// "127.0.0.1:6443", "[::1]:0", "localhost:0". kInvalid, naming the fix, for anything that others could reach.
[[nodiscard]] Result<ListenAddress> parse_listen_address(const std::string& text);

class HttpsServer {
 public:
  // `body` was read whole. Long answers set a content provider, which may use `connection` as long as it runs.
  using Handler =
      std::function<void(const httplib::Request& request, std::string body, ConnectionStream& connection, httplib::Response& response)>;
  static constexpr size_t kLargestBody = 10 * 1024 * 1024;

  struct Options {
    ListenAddress address;
    std::string socket_path;  // empty: none. Made with mode 0600 in the place of what lay there, removed at the end
    TlsIdentity identity;
    // Asked before a request's body is read: false is answered with 401.
    std::function<bool(const httplib::Request& request)> authorize;
    Handler handler;
    // Asked for a new identity when the present one is to be renewed.
    std::function<Result<TlsIdentity>()> renew;
    const Clock* clock = nullptr;
  };
  // kUnavailable (address in use …), kInternal (TLS).
  [[nodiscard]] static Result<std::unique_ptr<HttpsServer>> start(Options options);
  virtual ~HttpsServer() = default;

  [[nodiscard]] virtual int port() const = 0;
  [[nodiscard]] virtual Status on_socket() const = 0;  // why it isn't: what else listens goes on without
  virtual void stop() = 0;                             // idempotent; returns when every worker has ended
};

}  // namespace pintle::standalone
