// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "codec/credential_provider.h"

#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"

using namespace pintle;
using namespace pintle::codec;
using namespace std::chrono_literals;
using model::CredentialProvider;
using model::CredentialScope;

namespace {

const std::string kHead = "apiVersion: kubelet.config.k8s.io/v1\nkind: CredentialProviderConfig\n";
const std::string kGood =
    "{name: p, apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: ['reg.example'], defaultCacheDuration: 5m";

std::string error_of(const std::string& text) {
  const auto decoded = decode_credential_providers(text, "p.yaml");
  return decoded ? std::string() : decoded.error().message();
}

}  // namespace

TEST_CASE("row 19.5: a CredentialProviderConfig, with every field") {
  const auto decoded = decode_credential_providers(kHead + R"(providers:
- name: ecr-credential-provider
  matchImages: ["*.dkr.ecr.*.amazonaws.com", "reg.example:5000/team", "https://other.example/"]
  defaultCacheDuration: 12h
  apiVersion: credentialprovider.kubelet.k8s.io/v1
  args: [get-credentials, --v=2]
  env:
  - {name: AWS_PROFILE, value: node}
  - {name: EMPTY}
- {name: p, apiVersion: credentialprovider.kubelet.k8s.io/v1beta1, matchImages: [reg.example], defaultCacheDuration: 0s}
)",
                                                   "p.yaml");
  REQUIRE(decoded);
  CHECK(*decoded == std::vector<CredentialProvider>{
                        {.name = "ecr-credential-provider",
                         .match_images = {"*.dkr.ecr.*.amazonaws.com", "reg.example:5000/team", "https://other.example/"},
                         .default_cache_duration = 12h,
                         .api_version = "credentialprovider.kubelet.k8s.io/v1",
                         .args = {"get-credentials", "--v=2"},
                         .environment = {"AWS_PROFILE=node", "EMPTY="}},
                        {.name = "p", .match_images = {"reg.example"}, .api_version = "credentialprovider.kubelet.k8s.io/v1beta1"}});
  CHECK(encode_credential_request(decoded->at(1), "reg.example/app") ==
        R"({"apiVersion":"credentialprovider.kubelet.k8s.io/v1beta1","kind":"CredentialProviderRequest","image":"reg.example/app"})"
        "\n");
}

TEST_CASE("row 19.5: a mistake in the configuration names file, line, field and fix") {
  const auto with = [](const std::string& more) { return kHead + "providers:\n- " + more + "}\n"; };
  struct Row {
    std::string text, error;
  };
  const Row rows[] = {
      {"kind: CredentialProviderConfig\nproviders: [" + kGood + "}]\n", "p.yaml:1: apiVersion: is required"},
      {"apiVersion: kubelet.config.k8s.io/v2\nkind: CredentialProviderConfig\nproviders: [" + kGood + "}]\n",
       "p.yaml:1: apiVersion: 'kubelet.config.k8s.io/v2' is not one of kubelet.config.k8s.io/v1, "},
      {"apiVersion: kubelet.config.k8s.io/v1\nkind: KubeletConfiguration\nproviders: [" + kGood + "}]\n", "p.yaml:2: kind: 'KubeletConf"},
      {kHead, "providers: at least one is required"},
      {kHead + "providers: []\n", "providers: at least one is required"},
      {with("{apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: [a], defaultCacheDuration: 5m"),
       "p.yaml:4: providers[0].name: is required"},
      {with("{name: a/b, apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: [a], defaultCacheDuration: 5m"),
       "providers[0].name: 'a/b' is no name of a program"},
      {with("{name: .., apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: [a], defaultCacheDuration: 5m"),
       "providers[0].name: '..' is no name of a program"},
      {kHead + "providers: [" + kGood + "}, " + kGood + "}]\n", "providers[1]: name: 'p' is taken by another provider"},
      {with("{name: p, apiVersion: v1, matchImages: [a], defaultCacheDuration: 5m"),
       "providers[0].apiVersion: 'v1' is not one of credentialp"},
      {with("{name: p, apiVersion: credentialprovider.kubelet.k8s.io/v1, defaultCacheDuration: 5m"),
       "providers[0]: matchImages: at least one is required"},
      {with("{name: p, apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: ['reg.example/*/x'], defaultCacheDuration: 5m"),
       "providers[0].matchImages[0]: 'reg.example/*/x' matches no image; write REGISTRY[:PORT][/PATH]"},
      {with("{name: p, apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: ['reg:*'], defaultCacheDuration: 5m"),
       "providers[0].matchImages[0]: 'reg:*' matches no image"},
      {with("{name: p, apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: [a]"),
       "providers[0].defaultCacheDuration: is required"},
      {with("{name: p, apiVersion: credentialprovider.kubelet.k8s.io/v1, matchImages: [a], defaultCacheDuration: -1s"),
       "defaultCacheDuration: must not be negative"},
      {with(kGood + ", env: [{value: x}]"), "providers[0].env[0].name: is required"},
      {with(kGood + ", tokenAttributes: {serviceAccountTokenAudience: x}"),
       "providers[0].tokenAttributes: is not supported: programs get no token of the pod's service account; remove it"},
      {with(kGood + ", arg: [x]"), "did you mean 'args'?"},
      {"{", "p.yaml:"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    const auto error = error_of(row.text);
    INFO(error);
    CHECK(error.find(row.error) != std::string::npos);
  }
  CHECK(error_of(with(kGood)).empty());
}

TEST_CASE("row 19.5: a program's answer, and what is wrong with one is told without any value") {
  const CredentialProvider provider{.name = "p", .api_version = "credentialprovider.kubelet.k8s.io/v1"};
  const std::string head = R"({"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"CredentialProviderResponse")";
  const auto answer = decode_credential_answer(
      provider,
      head + R"(,"cacheKeyType":"Registry","cacheDuration":"1h30m","auth":{"*.example":{"username":"u","password":"hunter22"}}})");
  REQUIRE(answer);
  CHECK(answer->scope == CredentialScope::kRegistry);
  CHECK(answer->cache_duration == 90min);
  REQUIRE(answer->credentials.size() == 1);
  CHECK(answer->credentials[0].pattern == "*.example");
  CHECK(answer->credentials[0].auth.username == "u");
  CHECK(answer->credentials[0].auth.password == "hunter22");
  const auto least = decode_credential_answer(provider, head + R"(,"cacheKeyType":"Image","auth":null})");
  REQUIRE(least);
  CHECK(least->credentials.empty());
  CHECK(least->cache_duration == std::nullopt);
  CHECK(decode_credential_answer(provider, head + R"(,"cacheKeyType":"Global","cacheDuration":"0s"})")->cache_duration == 0s);

  struct Row {
    std::string text, error;
  };
  const Row rows[] = {
      {"", "its answer: is not JSON"},
      {R"({"hunter22)", "its answer: is not JSON"},
      {R"(["hunter22"])", "its answer: expected a map, found a list"},
      {R"({"apiVersion":"credentialprovider.kubelet.k8s.io/v1","kind":"hunter22"})", "its answer: kind: is not CredentialProviderResponse"},
      {R"({"apiVersion":"hunter22","kind":"CredentialProviderResponse"})",
       "its answer: apiVersion: is not credentialprovider.kubelet.k8s.io/v1, in which it was asked"},
      {head + "}", "its answer: cacheKeyType: is not one of Image, Registry, Global"},
      {head + R"(,"cacheKeyType":"Image","cacheDuration":"hunter22"})", "its answer: cacheDuration: is no duration such as 5m0s"},
      {head + R"(,"cacheKeyType":"Image","auth":"hunter22"})", "its answer: auth: expected a map, found a string"},
      {head + R"(,"cacheKeyType":"Image","auth":{"a":"hunter22"}})", "its answer: auth['a']: expected a map, found a string"},
      {head + R"(,"cacheKeyType":"Image","auth":{"a":{"password":["hunter22"]}}})",
       "its answer: auth['a'].password: expected a string, found a list"},
  };
  for (const auto& row : rows) {
    INFO(row.text);
    const auto bad = decode_credential_answer(provider, row.text);
    REQUIRE_FALSE(bad);
    CHECK(bad.error().message() == row.error);
  }
}

TEST_CASE("row 19.5: the configuration that the documentation shows is read") {
  const auto text = read_file(std::string(EXAMPLES_DIR) + "/../../docs/images.md");
  REQUIRE(text);
  const size_t begin = text->find("apiVersion: kubelet.config.k8s.io/v1\n");
  REQUIRE(begin != std::string::npos);
  CHECK(error_of(text->substr(begin, text->find("```", begin) - begin)).empty());
}
