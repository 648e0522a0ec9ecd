// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The little of OpenSSL a Wire needs, with owning types: a client context from PEM text, shared by all connections that would
// make the same one, and one session over a non-blocking socket. Writes go out with MSG_NOSIGNAL (OpenSSL's own socket BIO would raise
// SIGPIPE). The server's name is checked by OpenSSL itself, against tls-server-name where one is given. Thread rule: TlsContexts from any
// thread; the rest as plain values. Errors: kInvalid (names what could not be read and OpenSSL's reason), kInternal.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include <openssl/ssl.h>

#include "base/mutex.h"
#include "base/result.h"
#include "kube/kubeconfig.h"

namespace pintle::kube {

struct FreeTlsContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
struct FreeTlsSession {
  void operator()(SSL* session) const { SSL_free(session); }
};
using TlsContextPtr = std::unique_ptr<SSL_CTX, FreeTlsContext>;
using TlsSessionPtr = std::unique_ptr<SSL, FreeTlsSession>;

// The newest context made of one kubeconfig. A context is some 40 KiB in a thousand pieces, and a megabyte more with the system's
// authorities: ten connections need one of it.
class TlsContexts {
 public:
  // Reads the material's files, so that each new connection uses the newest certificates; the context is made anew when they, or
  // the system's authorities, have changed. Sessions that run keep theirs.
  [[nodiscard]] Result<TlsContextPtr> get(const Kubeconfig& config);

 private:
  Mutex mu_;
  std::string made_of_ PINTLE_GUARDED_BY(mu_);  // digest of all that the context depends on
  TlsContextPtr context_ PINTLE_GUARDED_BY(mu_);
};

[[nodiscard]] Result<TlsSessionPtr> make_tls_session(SSL_CTX& context, const Kubeconfig& config, int fd);
void free_tls_session(SSL* session);

// What one non-blocking step came to: wait for these poll events and repeat, or an error's text, or bytes (0: end).
struct TlsStep {
  short wait_events = 0;
  size_t bytes = 0;
  std::string error;
};
[[nodiscard]] TlsStep tls_connect(SSL& session);
[[nodiscard]] TlsStep tls_read(SSL& session, char* data, size_t size);
[[nodiscard]] TlsStep tls_write(SSL& session, std::string_view data);

}  // namespace pintle::kube
