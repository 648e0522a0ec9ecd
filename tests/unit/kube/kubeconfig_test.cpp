// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "kube/kubeconfig.h"

using Catch::Matchers::ContainsSubstring;
using pintle::Code;
using pintle::kube::Kubeconfig;

namespace {

std::string file_with(const std::string& cluster, const std::string& user) {
  return fmt::format(R"(apiVersion: v1
kind: Config
current-context: main
contexts:
- name: main
  context: {{cluster: c, user: u, namespace: apps}}
- name: dangling
  context: {{cluster: nowhere, user: u}}
clusters:
- name: c
  cluster: {}
users:
- name: u
  user: {}
)",
                     cluster, user);
}

}  // namespace

TEST_CASE("a kubeconfig gives server, identity and paths beside the file") {
  const auto config =
      Kubeconfig::parse(file_with("{server: 'https://10.0.0.1:6443/base/', certificate-authority: ca.pem, tls-server-name: api.local}",
                                  "{client-certificate: /abs/c.pem, client-key: keys/k.pem}"),
                        "/etc/kube/config");
  REQUIRE(config);
  CHECK(config->tls);
  CHECK(config->host == "10.0.0.1");
  CHECK(config->port == 6443);
  CHECK(config->path_prefix == "/base");
  CHECK(config->namespace_ == "apps");
  CHECK(config->tls_server_name == "api.local");
  CHECK(config->ca.file == "/etc/kube/ca.pem");
  CHECK(config->client_certificate.file == "/abs/c.pem");
  CHECK(config->client_key.file == "/etc/kube/keys/k.pem");
  CHECK(config->url() == "https://10.0.0.1:6443/base");
}

TEST_CASE("inline data is decoded and wins over a file") {
  const auto config = Kubeconfig::parse(
      file_with("{server: 'https://[::1]', certificate-authority-data: aGVsbG8=, certificate-authority: x}", "{token: abc}"), "config");
  REQUIRE(config);
  CHECK(config->host == "::1");
  CHECK(config->port == 443);
  CHECK(config->ca.read() == "hello");
  CHECK(config->token.read() == "abc");
  CHECK(config->url() == "https://[::1]:443");
}

TEST_CASE("a kubeconfig in JSON is one too") {
  const auto config = Kubeconfig::parse(R"({"current-context":"a","contexts":[{"name":"a","context":{"cluster":"b"}}],
    "clusters":[{"name":"b","cluster":{"server":"http://127.0.0.1:8080"}}]})",
                                        "x.json");
  REQUIRE(config);
  CHECK_FALSE(config->tls);
  CHECK(config->port == 8080);
}

TEST_CASE("what is wrong with a kubeconfig is named") {
  struct Row {
    const char *cluster, *user, *context, *complaint;
  };
  const Row rows[] = {
      {"{server: 'ftp://x'}", "{}", "", "expected http:// or https://"},
      {"{server: 'https://x:99999'}", "{}", "", "not a number from 1 to 65535"},
      {"{server: 'https://[::1'}", "{}", "", "'[' without ']'"},
      {"{server: 'https://a b'}", "{}", "", "unexpected character"},
      {"{}", "{}", "", "clusters['c'].cluster.server: is missing"},
      {"{server: [1]}", "{}", "", "server: expected a string"},
      {"{server: 'https://x', insecure-skip-tls-verify: maybe}", "{}", "", "expected true or false"},
      {"{server: 'https://x', certificate-authority-data: '!!!'}", "{}", "", "not base64"},
      {"{server: 'https://x', insecure-skip-tls-verify: true, certificate-authority: f}", "{}", "", "exclude one another"},
      {"{server: 'https://x', proxy-url: 'http://p'}", "{}", "", "proxy-url is not supported"},
      {"{server: 'https://x'}", "{client-certificate: f}", "", "needs its client key"},
      {"{server: 'https://x'}", "{exec: {command: aws}}", "", "credential plugins are not supported"},
      {"{server: 'http://10.1.1.1'}", "{token: t}", "", "credentials would go unencrypted"},
      {"{server: 'http://127.example.com'}", "{token: t}", "", "credentials would go unencrypted"},
      {"{server: 'http://127.1'}", "{token: t}", "", "credentials would go unencrypted"},
      {"{server: 'http://10.1.1.1'}", "{username: u, password: p}", "", "credentials would go unencrypted"},
      {"{server: \"https://a\\x7F\"}", "{}", "", "unexpected character"},
      {"{server: 'https://x'}", "{}", "dangling", "there is no cluster named 'nowhere'"},
      {"{server: 'https://x'}", "{}", "absent", "there is no context named 'absent'"},
  };
  for (const auto& row : rows) {
    CAPTURE(row.complaint);
    const auto config = Kubeconfig::parse(file_with(row.cluster, row.user), "kc", row.context);
    REQUIRE_FALSE(config);
    CHECK(config.error().code == Code::kInvalid);
    CHECK_THAT(config.error().context, ContainsSubstring(row.complaint) && ContainsSubstring("kc"));
  }
}

TEST_CASE("text that is no kubeconfig is refused with its place") {
  for (const char* text : {"", "a: [", "- 1", "just words", "{\"a\":", "\xff\xfe", "a: b\n---\na: c\n"}) {
    CAPTURE(text);
    const auto config = Kubeconfig::parse(text, "kc");
    REQUIRE_FALSE(config);
    CHECK(config.error().code == Code::kInvalid);
  }
  CHECK_FALSE(Kubeconfig::parse(std::string(10000, '['), "kc"));
  CHECK_FALSE(Kubeconfig::parse(std::string(2u << 20, ' '), "kc"));
}

TEST_CASE("a missing kubeconfig is not found") {
  const auto config = Kubeconfig::load("/nonexistent/kubeconfig");
  REQUIRE_FALSE(config);
  CHECK(config.error().code == Code::kNotFound);
  CHECK_THAT(config.error().context, ContainsSubstring("/nonexistent/kubeconfig"));
}
