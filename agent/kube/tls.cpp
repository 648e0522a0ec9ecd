// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "kube/tls.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>

#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "base/sha256.h"

namespace pintle::kube {
namespace {

template <auto Free>
struct Freer {
  template <typename T>
  void operator()(T* value) const {
    Free(value);
  }
};
using BioPtr = std::unique_ptr<BIO, Freer<BIO_free>>;
using X509Ptr = std::unique_ptr<X509, Freer<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Freer<EVP_PKEY_free>>;

// The oldest queued reason; clears the queue.
std::string openssl_reason() {
  const unsigned long code = ERR_get_error();
  ERR_clear_error();
  if (code == 0) return "unknown TLS error";
  const char* reason = ERR_reason_error_string(code);
  return reason != nullptr ? reason : fmt::format("TLS error {:#x}", code);
}

std::unexpected<Error> invalid(std::string_view what, const Material& material) {
  return fail(Code::kInvalid,
              fmt::format("{} {}: {}", what, material.inline_data.empty() ? "'" + material.file + "'" : "(inline data)", openssl_reason()));
}

BioPtr memory_bio(const std::string& text) {
  return BioPtr(BIO_new_mem_buf(text.data(), static_cast<int>(std::min<size_t>(text.size(), INT_MAX))));
}

// A passphrase prompt would read the daemon's terminal.
int refuse_passphrase(char*, int, int, void*) { return -1; }

// What a context is made of, as read at one moment.
struct TlsMaterial {
  std::string ca, certificate, key;
};

Result<TlsMaterial> read_material(const Kubeconfig& config) {
  TlsMaterial read;
  if (!config.insecure_skip_tls_verify && config.ca.given()) {
    PINTLE_ASSIGN_OR_RETURN(read.ca, config.ca.read());
  }
  if (config.client_certificate.given()) {
    PINTLE_ASSIGN_OR_RETURN(read.certificate, config.client_certificate.read());
    PINTLE_ASSIGN_OR_RETURN(read.key, config.client_key.read());
  }
  return read;
}

// Which file or folder of the system's authorities is there now; OpenSSL reads the file once for each context.
std::string system_store_stamp(const char* variable, const char* fallback) {
  const char* named = std::getenv(variable);
  const std::string path = named != nullptr ? named : fallback;
  struct stat at{};
  if (::stat(path.c_str(), &at) != 0) return path;
  return fmt::format("{} {} {} {} {}.{}", path, at.st_dev, at.st_ino, at.st_size, at.st_mtim.tv_sec, at.st_mtim.tv_nsec);
}

std::string digest_of(const Kubeconfig& config, const TlsMaterial& material) {
  Sha256 digest;
  for (const auto* part : {&material.ca, &material.certificate, &material.key}) digest.add(fmt::format("{}:", part->size())).add(*part);
  if (config.insecure_skip_tls_verify) return digest.add("unverified").hex();
  if (config.ca.given()) return digest.hex();
  return digest.add(system_store_stamp(X509_get_default_cert_file_env(), X509_get_default_cert_file()))
      .add(system_store_stamp(X509_get_default_cert_dir_env(), X509_get_default_cert_dir()))
      .hex();
}

Status add_authorities(SSL_CTX& context, const Material& ca, const std::string& pem) {
  const BioPtr bio = memory_bio(pem);
  X509_STORE* store = SSL_CTX_get_cert_store(&context);
  int count = 0;
  for (;; ++count) {
    const X509Ptr certificate(PEM_read_bio_X509(bio.get(), nullptr, refuse_passphrase, nullptr));
    if (!certificate) break;
    if (X509_STORE_add_cert(store, certificate.get()) != 1) return invalid("certificate authority", ca);
  }
  if (count == 0) return invalid("certificate authority", ca);
  ERR_clear_error();  // the end of the PEM text is an error to OpenSSL
  return {};
}

Status use_client_certificate(SSL_CTX& context, const Kubeconfig& config, const TlsMaterial& material) {
  const BioPtr bio = memory_bio(material.certificate);
  const X509Ptr leaf(PEM_read_bio_X509(bio.get(), nullptr, refuse_passphrase, nullptr));
  if (!leaf || SSL_CTX_use_certificate(&context, leaf.get()) != 1) return invalid("client certificate", config.client_certificate);
  for (;;) {  // intermediates after the leaf
    X509Ptr next(PEM_read_bio_X509(bio.get(), nullptr, refuse_passphrase, nullptr));
    if (!next) break;
    if (SSL_CTX_add0_chain_cert(&context, next.get()) != 1) return invalid("client certificate", config.client_certificate);
    (void)next.release();  // owned by the context now
  }
  ERR_clear_error();
  const BioPtr key_bio = memory_bio(material.key);
  const KeyPtr key(PEM_read_bio_PrivateKey(key_bio.get(), nullptr, refuse_passphrase, nullptr));
  if (!key || SSL_CTX_use_PrivateKey(&context, key.get()) != 1 || SSL_CTX_check_private_key(&context) != 1)
    return invalid("client key", config.client_key);
  return {};
}

// --- a BIO over a socket that never raises SIGPIPE; the descriptor is not owned -----------------------------

int bio_fd(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }
int after_io(BIO* bio, ssize_t n, int retry_flag) {
  BIO_clear_retry_flags(bio);
  if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) BIO_set_flags(bio, retry_flag | BIO_FLAGS_SHOULD_RETRY);
  return static_cast<int>(n);
}
int bio_write(BIO* bio, const char* data, int size) {
  return after_io(bio, ::send(bio_fd(bio), data, static_cast<size_t>(size), MSG_NOSIGNAL), BIO_FLAGS_WRITE);
}
int bio_read(BIO* bio, char* data, int size) {
  return after_io(bio, ::recv(bio_fd(bio), data, static_cast<size_t>(size), 0), BIO_FLAGS_READ);
}
long bio_ctrl(BIO*, int command, long, void*) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* socket_method() {
  static BIO_METHOD* const method = [] {
    BIO_METHOD* made = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "pintle socket");
    BIO_meth_set_write(made, bio_write);
    BIO_meth_set_read(made, bio_read);
    BIO_meth_set_ctrl(made, bio_ctrl);
    return made;
  }();
  return method;
}

bool is_address(const std::string& text) {
  unsigned char buffer[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, text.c_str(), buffer) == 1 || ::inet_pton(AF_INET6, text.c_str(), buffer) == 1;
}

TlsStep step_of(SSL& session, int result, size_t bytes) {
  if (result > 0) return {.bytes = bytes};
  const int saved_errno = errno;
  switch (SSL_get_error(&session, result)) {
    case SSL_ERROR_WANT_READ: return {.wait_events = POLLIN};
    case SSL_ERROR_WANT_WRITE: return {.wait_events = POLLOUT};
    case SSL_ERROR_ZERO_RETURN: return {};
    case SSL_ERROR_SYSCALL:
      ERR_clear_error();
      return {.error = saved_errno != 0 ? std::strerror(saved_errno) : "connection closed by the peer"};
    default: break;
  }
  if (const long verdict = SSL_get_verify_result(&session); verdict != X509_V_OK) {
    ERR_clear_error();
    return {.error = fmt::format("the server's certificate is not accepted: {}", X509_verify_cert_error_string(verdict))};
  }
  return {.error = openssl_reason()};
}

Result<TlsContextPtr> make_context(const Kubeconfig& config, const TlsMaterial& material) {
  TlsContextPtr context(SSL_CTX_new(TLS_client_method()));
  if (!context) return fail(Code::kInternal, fmt::format("make TLS context: {}", openssl_reason()));
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  // A server that just hangs up ends a response like an orderly close does; lengths and chunks tell the difference.
  SSL_CTX_set_options(context.get(), SSL_OP_IGNORE_UNEXPECTED_EOF);
  if (config.insecure_skip_tls_verify) {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_NONE, nullptr);
  } else {
    SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
    if (config.ca.given())
      PINTLE_TRY(add_authorities(*context, config.ca, material.ca));
    else if (SSL_CTX_set_default_verify_paths(context.get()) != 1)
      return fail(Code::kInvalid, fmt::format("load the system's certificate authorities: {}", openssl_reason()));
  }
  if (config.client_certificate.given()) PINTLE_TRY(use_client_certificate(*context, config, material));
  return context;
}

}  // namespace

Result<TlsContextPtr> TlsContexts::get(const Kubeconfig& config) {
  PINTLE_ASSIGN_OR_RETURN(const TlsMaterial material, read_material(config));
  std::string made_of = digest_of(config, material);
  const MutexLock lock(mu_);
  if (context_ == nullptr || made_of != made_of_) {
    PINTLE_ASSIGN_OR_RETURN(context_, make_context(config, material));
    made_of_ = std::move(made_of);
  }
  (void)SSL_CTX_up_ref(context_.get());  // fails at 2^31 references only
  return TlsContextPtr(context_.get());
}

std::shared_ptr<TlsContexts> Kubeconfig::new_tls_contexts() { return std::make_shared<TlsContexts>(); }

Result<TlsSessionPtr> make_tls_session(SSL_CTX& context, const Kubeconfig& config, int fd) {
  TlsSessionPtr session(SSL_new(&context));
  BIO* bio = session ? BIO_new(socket_method()) : nullptr;
  if (bio == nullptr) return fail(Code::kInternal, fmt::format("make TLS session: {}", openssl_reason()));
  // NOLINTNEXTLINE(performance-no-int-to-ptr): a BIO keeps one pointer, and a descriptor is all it needs
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(fd)));
  BIO_set_init(bio, 1);
  SSL_set_bio(session.get(), bio, bio);  // the session owns it
  const std::string& name = config.tls_server_name.empty() ? config.host : config.tls_server_name;
  X509_VERIFY_PARAM* param = SSL_get0_param(session.get());
  const bool ok = is_address(name) ? X509_VERIFY_PARAM_set1_ip_asc(param, name.c_str()) == 1
                                   : X509_VERIFY_PARAM_set1_host(param, name.c_str(), name.size()) == 1 &&
                                         SSL_set_tlsext_host_name(session.get(), name.c_str()) == 1;
  if (!ok) return fail(Code::kInvalid, fmt::format("server name '{}': {}", name, openssl_reason()));
  return session;
}

void free_tls_session(SSL* session) { SSL_free(session); }

TlsStep tls_connect(SSL& session) {
  ERR_clear_error();
  errno = 0;
  return step_of(session, SSL_connect(&session), 0);
}

TlsStep tls_read(SSL& session, char* data, size_t size) {
  ERR_clear_error();
  errno = 0;
  size_t bytes = 0;
  const int result = SSL_read_ex(&session, data, size, &bytes);
  return step_of(session, result, bytes);
}

TlsStep tls_write(SSL& session, std::string_view data) {
  ERR_clear_error();
  errno = 0;
  size_t bytes = 0;
  const int result = SSL_write_ex(&session, data.data(), data.size(), &bytes);
  TlsStep step = step_of(session, result, bytes);
  if (result <= 0 && step.wait_events == 0 && step.error.empty()) step.error = "connection closed by the peer";
  return step;
}

}  // namespace pintle::kube
