// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// TLS against a server of the test's own: who is trusted, by which name, and what we present.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <cstdio>
#include <fstream>
#include <memory>
#include <thread>

#include <fmt/format.h>
#include <httplib.h>
#include <unistd.h>

#include "fakes/certificate.h"
#include "kube/api_connection.h"
#include "kube/tls.h"

using namespace pintle;
using namespace pintle::kube;
using Catch::Matchers::ContainsSubstring;

namespace {

const SystemClock kClock;

using Identity = fakes::Certificate;

class TlsServer {
 public:
  explicit TlsServer(const Identity& own, const Identity* client_ca = nullptr)
      : server_(own.certificate.get(), own.key.get(), client_ca == nullptr ? nullptr : fakes::store_of(*client_ca)) {
    server_.Get("/hello", [](const httplib::Request& request, httplib::Response& response) {
      std::string who = fakes::common_name_of_peer(request.ssl);
      if (who.empty()) who = "nobody";
      response.set_content(who + std::string(100000, '.'), "text/plain");
    });
    server_.set_keep_alive_timeout(1);
    config_.port = server_.bind_to_any_port("127.0.0.1");
    config_.host = "127.0.0.1";
    thread_ = std::thread([this] { (void)server_.listen_after_bind(); });
    while (!server_.is_running()) std::this_thread::yield();
  }
  ~TlsServer() {
    server_.stop();
    thread_.join();
  }
  [[nodiscard]] const Kubeconfig& config() const { return config_; }

 private:
  httplib::SSLServer server_;
  Kubeconfig config_;
  std::thread thread_;
};

Result<std::string> hello(const Kubeconfig& config) {
  auto connection = ApiConnection::create(config, kClock, {.name = "tls"});
  REQUIRE(connection);
  auto first = (*connection)->request({.path = "/hello"}, {});
  if (!first) return first;
  return (*connection)->request({.path = "/hello"}, {});  // over the kept connection
}

}  // namespace

TEST_CASE("a server of our authority is believed, by address or by the name we are told") {
  const Identity good("server", "IP:127.0.0.1,DNS:api.local");
  const TlsServer server(good);
  Kubeconfig config = server.config();
  config.ca.inline_data = good.certificate_pem();
  auto reply = hello(config);
  if (!reply) FAIL(reply.error().context);
  CHECK(reply->size() == 100006);
  config.tls_server_name = "api.local";
  CHECK(hello(config));
  config.tls_server_name = "other.local";
  reply = hello(config);
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Code::kUnavailable);
  CHECK_THAT(reply.error().context, ContainsSubstring("certificate is not accepted") && ContainsSubstring("ostname mismatch"));
}

TEST_CASE("a stranger's server is not believed unless told to") {
  const Identity good("server", "IP:127.0.0.1"), other("other", "");
  const TlsServer server(good);
  Kubeconfig config = server.config();
  CHECK_FALSE(hello(config));  // the system's authorities do not know it
  config.ca.inline_data = other.certificate_pem();
  const auto reply = hello(config);
  REQUIRE_FALSE(reply);
  CHECK_THAT(reply.error().context, ContainsSubstring("certificate is not accepted"));
  config.ca = {};
  config.insecure_skip_tls_verify = true;
  CHECK(hello(config));
}

TEST_CASE("a client certificate is presented, and a bad one is named") {
  const Identity good("server", "IP:127.0.0.1"), client("system:node:n1", "");
  const TlsServer server(good, &client);
  Kubeconfig config = server.config();
  config.ca.inline_data = good.certificate_pem();
  config.client_certificate.inline_data = client.certificate_pem();
  config.client_key.inline_data = client.key_pem();
  const auto reply = hello(config);
  if (!reply) FAIL(reply.error().context);
  CHECK(reply->starts_with("system:node:n1."));

  config.client_key.inline_data = good.key_pem();  // of another pair
  const auto mismatch = hello(config);
  REQUIRE_FALSE(mismatch);
  CHECK(mismatch.error().code == Code::kInvalid);
  CHECK_THAT(mismatch.error().context, ContainsSubstring("client key"));
  config.client_certificate.inline_data = "not PEM";
  CHECK(hello(config).error().code == Code::kInvalid);
  config.client_certificate = {"", "/nonexistent/cert.pem"};
  CHECK(hello(config).error().code == Code::kNotFound);
}

TEST_CASE("connections of one kubeconfig share a context until what it is made of changes") {
  const Identity first("first", ""), second("second", "");
  const std::string file = fmt::format("/tmp/pintle-tls-{}.pem", ::getpid());
  const auto write = [&](const Identity& authority) { std::ofstream(file) << authority.certificate_pem(); };
  write(first);
  Kubeconfig config;
  config.ca.file = file;
  const Kubeconfig copy = config;
  const auto one = config.tls_contexts->get(config), two = copy.tls_contexts->get(copy);
  REQUIRE(one);
  REQUIRE(two);
  CHECK(one->get() == two->get());
  write(second);
  const auto renewed = copy.tls_contexts->get(copy);
  REQUIRE(renewed);
  CHECK(renewed->get() != one->get());
  CHECK(config.tls_contexts->get(config)->get() == renewed->get());
  Kubeconfig trusting = config;
  trusting.ca = {};
  trusting.insecure_skip_tls_verify = true;
  CHECK(SSL_CTX_get_verify_mode(trusting.tls_contexts->get(trusting)->get()) == SSL_VERIFY_NONE);
  CHECK(SSL_CTX_get_verify_mode(config.tls_contexts->get(config)->get()) == SSL_VERIFY_PEER);
  std::ofstream(file) << "not PEM";
  CHECK(config.tls_contexts->get(config).error().code == Code::kInvalid);
  write(second);
  CHECK(config.tls_contexts->get(config));
  (void)std::remove(file.c_str());
}
