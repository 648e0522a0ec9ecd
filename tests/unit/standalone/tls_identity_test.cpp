// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/tls_identity.h"

#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>

#include "fakes/store/temp_dir.h"
#include "manual_clock.h"
#include "standalone/https_server.h"

namespace pintle::standalone {

TEST_CASE("an identity is made once, for its owner only, and found again") {
  const fakes::TempDir dir;
  const ManualClock clock;
  const auto first = load_identity(dir.path(), clock.now());
  REQUIRE(first);
  const auto second = load_identity(dir.path(), clock.now());
  REQUIRE(second);
  CHECK(first->certificate_pem == second->certificate_pem);
  CHECK(first->ca_pem == second->ca_pem);
  CHECK(first->token == second->token);
  CHECK(first->token.size() == 64);
  for (const char* file : {"ca.key", "serving.key", "token", "ca.crt"}) {
    struct stat info{};
    REQUIRE(::stat((dir / file).c_str(), &info) == 0);
    CHECK((info.st_mode & 0777) == 0600);
  }
}

TEST_CASE("the serving certificate is renewed before it runs out, its authority stays") {
  const fakes::TempDir dir;
  ManualClock clock;
  const auto first = load_identity(dir.path(), clock.now());
  REQUIRE(first);
  CHECK(first->renew_at > clock.now() + std::chrono::days(330));
  clock.advance(std::chrono::days(336));
  CHECK(first->renew_at < clock.now());
  const auto renewed = load_identity(dir.path(), clock.now());
  REQUIRE(renewed);
  CHECK(renewed->certificate_pem != first->certificate_pem);
  CHECK(renewed->ca_pem == first->ca_pem);
  CHECK(renewed->token == first->token);
}

TEST_CASE("a damaged key costs a new certificate, not the start") {
  const fakes::TempDir dir;
  const ManualClock clock;
  const auto first = load_identity(dir.path(), clock.now());
  REQUIRE(first);
  fakes::write_text(dir / "serving.key", "rubbish");
  const auto second = load_identity(dir.path(), clock.now());
  REQUIRE(second);
  CHECK(second->certificate_pem != first->certificate_pem);
}

TEST_CASE("only loopback is listened on") {
  CHECK(parse_listen_address("127.0.0.1:0")->host == "127.0.0.1");
  CHECK(parse_listen_address("localhost:6443")->port == 6443);
  CHECK(parse_listen_address("[::1]:1")->host == "::1");
  for (const char* bad : {"0.0.0.0:0", "192.168.1.2:6443", "[::]:1", ":6443", "example.org:1", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x",
                          "127.0.0.1:70000", "127.0.0.2:1", ""}) {
    const auto refused = parse_listen_address(bad);
    {
      INFO(bad);
      REQUIRE_FALSE(refused);
    }
    CHECK(refused.error().code == Code::kInvalid);
  }
}

}  // namespace pintle::standalone
