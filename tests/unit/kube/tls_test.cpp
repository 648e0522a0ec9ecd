// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// TLS against a server of the test's own: who is trusted, by which name, and what we present.
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <memory>
#include <thread>

#include <httplib.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

#include "kube/api_connection.h"

using namespace pintle;
using namespace pintle::kube;
using Catch::Matchers::ContainsSubstring;

namespace {

const SystemClock kClock;

struct Identity {
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key{EVP_EC_gen("P-256"), EVP_PKEY_free};
  std::unique_ptr<X509, decltype(&X509_free)> certificate{X509_new(), X509_free};

  Identity(const std::string& common_name, const std::string& alt_names) {
    X509_set_version(certificate.get(), 2);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate.get()), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -60);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), 3600);
    X509_set_pubkey(certificate.get(), key.get());
    X509_NAME* name = X509_get_subject_name(certificate.get());
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, reinterpret_cast<const unsigned char*>(common_name.c_str()), -1, -1, 0);
    X509_set_issuer_name(certificate.get(), name);
    for (const auto& [nid, value] :
         {std::pair<int, std::string>{NID_basic_constraints, "critical,CA:TRUE"}, {NID_subject_alt_name, alt_names}}) {
      if (value.empty()) continue;
      X509_EXTENSION* extension = X509V3_EXT_conf_nid(nullptr, nullptr, nid, value.c_str());
      X509_add_ext(certificate.get(), extension, -1);
      X509_EXTENSION_free(extension);
    }
    X509_sign(certificate.get(), key.get(), EVP_sha256());
  }
  [[nodiscard]] std::string certificate_pem() const {
    return pem([this](BIO* bio) { PEM_write_bio_X509(bio, certificate.get()); });
  }
  [[nodiscard]] std::string key_pem() const {
    return pem([this](BIO* bio) { PEM_write_bio_PrivateKey(bio, key.get(), nullptr, nullptr, 0, nullptr, nullptr); });
  }

 private:
  template <typename Write>
  static std::string pem(const Write& write) {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
    write(bio.get());
    char* data = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &data);
    return {data, static_cast<size_t>(size)};
  }
};

class TlsServer {
 public:
  explicit TlsServer(const Identity& own, const Identity* client_ca = nullptr)
      : server_(own.certificate.get(), own.key.get(), store_of(client_ca)) {
    server_.Get("/hello", [](const httplib::Request& request, httplib::Response& response) {
      std::string who = "nobody";
      if (X509* peer = SSL_get1_peer_certificate(request.ssl)) {
        char text[256];
        X509_NAME_get_text_by_NID(X509_get_subject_name(peer), NID_commonName, text, sizeof text);
        who = text;
        X509_free(peer);
      }
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
  static X509_STORE* store_of(const Identity* ca) {
    if (ca == nullptr) return nullptr;
    X509_STORE* store = X509_STORE_new();
    X509_STORE_add_cert(store, ca->certificate.get());
    return store;  // the server takes it
  }
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
