// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/https_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <optional>

#include <fmt/format.h>
#include <httplib.h>

#include "base/heap.h"
#include "base/log.h"
#include "standalone/connection_stream.h"
#include "standalone/worker_pool.h"

namespace pintle::standalone {
namespace {

constexpr std::chrono::milliseconds kIdleConnection{90'000};  // as long as Go's clients keep theirs
constexpr size_t kLargeBody = size_t{1} << 20;                // its tree is several times that, for a moment
constexpr int kBacklog = 128;
constexpr int kAcceptPauseMs = 100;  // when descriptors or memory ran out

using SslContext = std::unique_ptr<SSL_CTX, decltype([](SSL_CTX* context) { SSL_CTX_free(context); })>;

Status use_identity(SSL_CTX* context, const TlsIdentity& identity) {
  const auto bio_of = [](const std::string& text) { return BIO_new_mem_buf(text.data(), static_cast<int>(text.size())); };
  BIO* certificate_bio = bio_of(identity.certificate_pem);
  X509* certificate = PEM_read_bio_X509(certificate_bio, nullptr, nullptr, nullptr);
  BIO_free(certificate_bio);
  BIO* key_bio = bio_of(identity.key_pem);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_bio, nullptr, nullptr, nullptr);
  BIO_free(key_bio);
  const bool used = certificate != nullptr && key != nullptr && SSL_CTX_use_certificate(context, certificate) == 1 &&
                    SSL_CTX_use_PrivateKey(context, key) == 1 && SSL_CTX_check_private_key(context) == 1;
  X509_free(certificate);
  EVP_PKEY_free(key);
  if (!used) return fail(Code::kInternal, "use the serving certificate: OpenSSL refuses it");
  return {};
}

Result<SslContext> make_context(const TlsIdentity& identity) {
  SslContext context(SSL_CTX_new(TLS_server_method()));
  if (context == nullptr) return fail(Code::kInternal, "make a TLS context: out of memory");
  (void)SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  (void)SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  (void)SSL_CTX_set_num_tickets(context.get(), 0);
  // Idle connections give their 34 KiB of buffers back.
  (void)SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  PINTLE_TRY(use_identity(context.get(), identity));
  return context;
}

Result<UniqueFd> listen_on(const ListenAddress& address) {
  const bool v6 = address.host == "::1";
  UniqueFd fd(::socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const std::string doing = fmt::format("listen on {}:{}", address.host, address.port);
  if (!fd.valid()) return fail_errno(errno, doing);
  const int one = 1;
  (void)::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  int bound = -1;
  if (v6) {
    sockaddr_in6 name{};
    name.sin6_family = AF_INET6;
    name.sin6_port = htons(static_cast<uint16_t>(address.port));
    name.sin6_addr = in6addr_loopback;
    bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name);
  } else {
    sockaddr_in name{};
    name.sin_family = AF_INET;
    name.sin_port = htons(static_cast<uint16_t>(address.port));
    (void)::inet_pton(AF_INET, address.host.c_str(), &name.sin_addr);  // parse_listen_address has checked it
    bound = ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name);
  }
  if (bound != 0 || ::listen(fd.get(), kBacklog) != 0) {
    auto error = error_from_errno(errno, doing);
    error.code = Code::kUnavailable;
    return std::unexpected(std::move(error));
  }
  return fd;
}

Result<UniqueFd> listen_on(const std::string& path) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string doing = fmt::format("listen on '{}'", path);
  if (path.size() >= sizeof name.sun_path) return fail(Code::kInvalid, fmt::format("{}: longer than a socket's name may be", doing));
  path.copy(name.sun_path, sizeof name.sun_path - 1);
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return fail_errno(errno, doing);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return fail_errno(errno, doing);
  // Nobody gets in before listen(), when the mode is set.
  if (::bind(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0 || ::chmod(path.c_str(), 0600) != 0 ||
      ::listen(fd.get(), kBacklog) != 0)
    return fail_errno(errno, doing);
  return fd;
}

int port_of(int fd) {
  sockaddr_storage name{};
  socklen_t size = sizeof name;
  if (::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size) != 0) return 0;
  return ntohs(name.ss_family == AF_INET6 ? reinterpret_cast<const sockaddr_in6*>(&name)->sin6_port
                                          : reinterpret_cast<const sockaddr_in*>(&name)->sin_port);
}

// cpp-httplib's parser and writer; its sockets, threads and routing by regular expression are not used.
class Protocol final : public httplib::Server {
 public:
  Protocol(std::function<bool(const httplib::Request&)> authorize, HttpsServer::Handler handler)
      : authorize_(std::move(authorize)), handler_(std::move(handler)) {
    svr_sock_ = 0;  // any valid number: content providers are cut off while it is invalid
    const auto plain = [this](const httplib::Request& request, httplib::Response& response) { handle(request, {}, response); };
    const auto with_body = [this](const httplib::Request& request, httplib::Response& response, const httplib::ContentReader& reader) {
      std::string body;
      bool too_large = false;
      const bool read = reader([&](const char* data, size_t size) {
        too_large = too_large || body.size() + size > HttpsServer::kLargestBody;
        if (!too_large) body.append(data, size);
        return !too_large;
      });
      if (!read || too_large) thread_connection_->end_after_answer();
      if (too_large || response.status == 413) return refuse_request(413, "RequestEntityTooLarge", kTooLarge, response);
      if (!read) return refuse_request(400, "BadRequest", "the request's body could not be read", response);
      const bool large = body.size() >= kLargeBody;
      handle(request, std::move(body), response);
      if (large) give_back_heap();
    };
    Get("/", plain)
        .Post("/", with_body)
        .Put("/", with_body)
        .Patch("/", with_body)
        .Delete("/", with_body)
        .Delete("/", plain)
        .Options("/", plain);
    set_payload_max_length(HttpsServer::kLargestBody);
    set_error_handler([](const httplib::Request&, httplib::Response& response) {
      if (response.status == 413 && response.body.empty()) refuse_request(413, "RequestEntityTooLarge", kTooLarge, response);
    });
    // Before the body: who has no token gets no memory of ours.
    set_pre_routing_handler([this](const httplib::Request& request, httplib::Response& response) {
      if (authorize_(request)) return HandlerResponse::Unhandled;
      if (request.has_header("Content-Length") || request.has_header("Transfer-Encoding")) thread_connection_->end_after_answer();
      refuse_request(401, "Unauthorized", "Unauthorized", response);
      return HandlerResponse::Handled;
    });
  }

  void serve(ConnectionStream& stream) {
    thread_connection_ = &stream;
    if (stream.handshake()) {
      while (stream.wait_for_request(kIdleConnection)) {
        bool closed = false;
        const bool answered = process_request(stream, false, closed, [&stream](httplib::Request& request) {
          request.ssl = stream.ssl();
          request.path = "/";  // the handler reads `target`: no regular expression sees what a client sent
          // Compressed streams would hold back a watch's events, and on loopback there is nothing to save.
          request.headers.erase("Accept-Encoding");
        });
        if (!answered || closed || stream.ends_after_answer()) break;
      }
    }
    thread_connection_ = nullptr;
  }

 private:
  static void refuse_request(int code, const char* reason, const char* message, httplib::Response& response) {
    response.status = code;
    response.set_content(
        fmt::format(R"({{"kind":"Status","apiVersion":"v1","metadata":{{}},"status":"Failure","message":"{}","reason":"{}","code":{}}})",
                    message, reason, code),
        "application/json");
  }
  void handle(const httplib::Request& request, std::string body, httplib::Response& response) {
    handler_(request, std::move(body), *thread_connection_, response);
  }

  static constexpr const char* kTooLarge = "the request's body is larger than 10 MiB";
  const std::function<bool(const httplib::Request&)> authorize_;
  const HttpsServer::Handler handler_;
  // cpp-httplib hands its handlers no connection; each worker thread serves one at a time.
  static thread_local ConnectionStream* thread_connection_;
};

thread_local ConnectionStream* Protocol::thread_connection_ = nullptr;

class Server final : public HttpsServer {
 public:
  Server(Options options, UniqueFd listener, Result<UniqueFd> local, UniqueFd stop_fd, SslContext context)
      : options_(std::move(options)),
        port_(port_of(listener.get())),
        listener_(std::move(listener)),
        on_socket_(local ? Status() : std::unexpected(local.error())),
        local_listener_(local ? *std::move(local) : UniqueFd()),
        stop_fd_(std::move(stop_fd)),
        context_(std::move(context)),
        renew_at_(options_.identity.renew_at),
        protocol_(options_.authorize, options_.handler),
        workers_(std::in_place),
        acceptor_([this] { accept_all(); }) {}
  ~Server() override { Server::stop(); }

  int port() const override { return port_; }
  Status on_socket() const override { return on_socket_; }

  void stop() override {
    const uint64_t one = 1;
    (void)!::write(stop_fd_.get(), &one, sizeof one);  // never read: stays readable for everyone
    if (!acceptor_.joinable()) return;
    acceptor_.join();
    workers_.reset();
    if (local_listener_.valid()) (void)::unlink(options_.socket_path.c_str());  // ignoring: it is replaced at the next start
  }

 private:
  void accept_all() {
    while (true) {
      std::array<pollfd, 3> wait{pollfd{listener_.get(), POLLIN, 0}, pollfd{local_listener_.get(), POLLIN, 0},
                                 pollfd{stop_fd_.get(), POLLIN, 0}};
      if (::poll(wait.data(), wait.size(), -1) < 0) {
        if (errno != EINTR) return;
        continue;
      }
      if (wait[2].revents != 0) return;
      if (wait[0].revents != 0) accept_one(listener_.get(), true);
      if (wait[1].revents != 0) accept_one(local_listener_.get(), false);
    }
  }

  void accept_one(int listener, bool with_tls) {
    UniqueFd socket(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (socket.valid()) {
      if (with_tls) renew_if_due();
      serve(std::move(socket), with_tls);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) {
      pollfd pause{stop_fd_.get(), POLLIN, 0};  // the connection stays in the queue: look again soon
      (void)::poll(&pause, 1, kAcceptPauseMs);
    }
  }

  void serve(UniqueFd socket, bool with_tls) {
    SSL* ssl = nullptr;
    if (with_tls) {
      const int one = 1;
      (void)::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
      ssl = SSL_new(context_.get());
      if (ssl == nullptr || SSL_set_fd(ssl, socket.get()) != 1) {
        SSL_free(ssl);
        return;
      }
    }
    auto stream = std::make_shared<ConnectionStream>(std::move(socket), ssl, stop_fd_.get());
    if (!workers_->submit([this, stream] { protocol_.serve(*stream); }))
      PINTLE_LOG(kDebug, "standalone", "a connection is refused: all workers are busy");
  }

  void renew_if_due() {
    const Time now = options_.clock->now();
    if (now < renew_at_ || !options_.renew) return;
    renew_at_ = now + std::chrono::hours(1);  // when it fails, not before every connection
    const auto renewed = options_.renew();
    if (renewed && use_identity(context_.get(), *renewed)) renew_at_ = renewed->renew_at;
  }

  const Options options_;
  const int port_;
  UniqueFd listener_;
  const Status on_socket_;
  UniqueFd local_listener_, stop_fd_;
  SslContext context_;
  Time renew_at_;  // acceptor's thread
  Protocol protocol_;
  std::optional<WorkerPool> workers_;
  std::thread acceptor_;
};

}  // namespace

Result<ListenAddress> parse_listen_address(const std::string& text) {
  ListenAddress address;
  const size_t colon = text.rfind(':');
  address.host = text.substr(0, colon);
  if (address.host.starts_with('[') && address.host.ends_with(']')) address.host = address.host.substr(1, address.host.size() - 2);
  const std::string port = colon == std::string::npos ? "" : text.substr(colon + 1);
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (port.empty() || error != std::errc() || end != port.data() + port.size() || address.port < 0 || address.port > 65535)
    return fail(Code::kInvalid, fmt::format("listen address '{}': expected HOST:PORT, such as 127.0.0.1:0", text));
  if (address.host == "localhost") address.host = "127.0.0.1";
  in_addr v4{};
  const bool loopback4 = ::inet_pton(AF_INET, address.host.c_str(), &v4) == 1 && ntohl(v4.s_addr) == INADDR_LOOPBACK;
  if (!loopback4 && address.host != "::1")
    return fail(
        Code::kInvalid,
        fmt::format("listen address '{}': whoever holds the endpoint's token controls this machine, so it listens on loopback only: use "
                    "127.0.0.1:{} and reach it through an SSH tunnel",
                    text, address.port));
  return address;
}

Result<std::unique_ptr<HttpsServer>> HttpsServer::start(Options options) {
  PINTLE_ASSIGN_OR_RETURN(auto context, make_context(options.identity));
  PINTLE_ASSIGN_OR_RETURN(auto listener, listen_on(options.address));
  auto local = options.socket_path.empty() ? Result<UniqueFd>(UniqueFd()) : listen_on(options.socket_path);
  UniqueFd stop_fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop_fd.valid()) return fail_errno(errno, "make an eventfd");
  return std::make_unique<Server>(std::move(options), std::move(listener), std::move(local), std::move(stop_fd), std::move(context));
}

}  // namespace pintle::standalone
