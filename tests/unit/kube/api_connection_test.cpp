// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>
#include <filesystem>
#include <fstream>
#include <thread>

#include <fmt/format.h>

#include "fakes/kube/fake_api_server.h"
#include "fakes/kube/silent_server.h"
#include "kube/api_connection.h"

using namespace pintle;
using namespace pintle::kube;
using Catch::Matchers::ContainsSubstring;
using fakes::ApiFault;
using fakes::FakeApiServer;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

const SystemClock kClock;

std::unique_ptr<ApiConnection> connect(const Kubeconfig& config, Duration deadline = seconds(10), size_t max_body = size_t{1} << 20) {
  auto made = ApiConnection::create(config, kClock, {.name = "test", .deadline = deadline, .max_body = max_body});
  REQUIRE(made);
  return *std::move(made);
}

int option_of(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  REQUIRE(::getsockopt(fd, level, name, &value, &size) == 0);
  return value;
}

}  // namespace

TEST_CASE("a request reaches the server and keeps its connection") {
  FakeApiServer server;
  server.create("pods", "default", fakes::pod_json("web"));
  const auto connection = connect(server.config());
  REQUIRE(connection->request({.path = "/api/v1/namespaces/default/pods/web"}, {}));
  const int fd = connection->socket_for_test();
  REQUIRE(connection->request({.path = "/api/v1/namespaces/default/pods/web"}, {}));
  CHECK(fd == connection->socket_for_test());
  CHECK(server.calls().at(0).user_agent == "pintled/0.1 (test)");
  connection->reset();
  CHECK(connection->socket_for_test() == -1);
  CHECK(connection->request({.path = "/api/v1/namespaces/default/pods/web"}, {}));
}

TEST_CASE("a dead peer is noticed within 15 seconds by the socket's own timers") {
  FakeApiServer server;
  const auto connection = connect(server.config());
  (void)connection->request({.path = "/api/v1/nodes"}, {});
  const int fd = connection->socket_for_test();
  REQUIRE(fd >= 0);
  CHECK(option_of(fd, SOL_SOCKET, SO_KEEPALIVE) == 1);
  const int idle = option_of(fd, IPPROTO_TCP, TCP_KEEPIDLE), interval = option_of(fd, IPPROTO_TCP, TCP_KEEPINTVL);
  CHECK(idle == 5);
  CHECK(interval == 3);
  CHECK(option_of(fd, IPPROTO_TCP, TCP_KEEPCNT) == 3);
  const int user_timeout = option_of(fd, IPPROTO_TCP, TCP_USER_TIMEOUT);
  CHECK(user_timeout > 0);
  // The kernel gives up at the first probe time that is not before the user timeout.
  int at = idle;
  while (at * 1000 < user_timeout) at += interval;
  CHECK(at <= 15);
}

TEST_CASE("a request ends by its deadline, in silence and in the TLS handshake") {
  fakes::SilentServer server;
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const auto connection = connect(server.config(tls), milliseconds(50));
    const auto begun = kClock.steady();
    const auto reply = connection->request({.path = "/x"}, {});
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == Code::kUnavailable);
    CHECK_THAT(reply.error().context, ContainsSubstring("deadline exceeded"));
    CHECK(kClock.steady() - begun < seconds(5));
  }
}

TEST_CASE("a request may have less time than its connection, and not more; it leaves the connection's alone") {
  fakes::SilentServer server;
  const auto took = [](ApiConnection& connection, Duration deadline) {
    const auto begun = kClock.steady();
    CHECK_FALSE(connection.request({.path = "/x", .deadline = deadline}, {}));
    CHECK_FALSE(connection.exchange({.path = "/x", .deadline = deadline}, {}));
    return (kClock.steady() - begun) / 2;
  };
  const auto patient = connect(server.config(), seconds(60));
  CHECK(took(*patient, milliseconds(50)) < seconds(10));
  const auto hasty = connect(server.config(), milliseconds(200));
  CHECK(took(*hasty, seconds(60)) < seconds(10));
  CHECK(took(*hasty, milliseconds(1)) < milliseconds(200));
  CHECK(took(*hasty, {}) >= milliseconds(200));
}

TEST_CASE("a stop request ends a request in every phase") {
  fakes::SilentServer server;
  for (const bool tls : {false, true}) {
    CAPTURE(tls);
    const auto connection = connect(server.config(tls), seconds(60));
    std::stop_source stop;
    Result<std::string> reply = fail(Code::kInternal, "not run");
    std::jthread caller([&] { reply = connection->request({.path = "/x"}, stop.get_token()); });
    // The first bytes are there: it is waiting for an answer that will not come.
    REQUIRE(server.wait_for([&](int accepted, size_t bytes, int) { return accepted == (tls ? 2 : 1) && bytes > 0; }));
    stop.request_stop();
    caller.join();
    REQUIRE_FALSE(reply);
    CHECK(reply.error().code == Code::kCancelled);
    REQUIRE(server.wait_for([](int, size_t, int open) { return open == 0; }));
  }
  std::stop_source before;
  before.request_stop();
  const auto connection = connect(server.config(), seconds(60));
  const auto reply = connection->request({.path = "/x"}, before.get_token());
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Code::kCancelled);
}

TEST_CASE("a caller that waits for the connection has its own deadline and stop") {
  fakes::SilentServer server;
  const auto connection = connect(server.config(), seconds(2));
  std::stop_source first, second;
  std::jthread holder([&] { (void)connection->request({.path = "/x"}, first.get_token()); });
  REQUIRE(server.wait_for([](int, size_t bytes, int) { return bytes > 0; }));
  Result<std::string> waited = fail(Code::kInternal, "not run");
  std::jthread waiter([&] { waited = connection->request({.path = "/y"}, second.get_token()); });
  second.request_stop();
  waiter.join();
  REQUIRE_FALSE(waited);
  CHECK(waited.error().code == Code::kCancelled);
  first.request_stop();
}

TEST_CASE("no server, no name: unavailable, with the address in the text") {
  Kubeconfig nowhere;
  {
    fakes::SilentServer gone;
    nowhere = gone.config();
  }
  const auto reply = connect(nowhere)->request({.path = "/x"}, {});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Code::kUnavailable);
  CHECK(reply.error().sys_errno == ECONNREFUSED);
  CHECK_THAT(reply.error().context, ContainsSubstring(fmt::format("connect to 'http://127.0.0.1:{}'", nowhere.port)));
}

TEST_CASE("too many requests: waits as told and tries again") {
  FakeApiServer server;
  server.fail_next({.status = 429, .reason = "TooManyRequests", .retry_after = 0, .times = 3});
  const auto connection = connect(server.config());
  CHECK(connection->request({.path = "/api/v1/nodes"}, {}));
  CHECK(server.calls().size() == 4);
  // Longer than the deadline: the caller is told now, not later.
  server.fail_next({.status = 429, .reason = "TooManyRequests", .retry_after = 60});
  const auto begun = kClock.steady();
  const auto reply = connection->request({.path = "/api/v1/nodes"}, {});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Code::kUnavailable);
  CHECK(kClock.steady() - begun < seconds(5));
}

TEST_CASE("truncated, huge and garbled responses are told apart") {
  FakeApiServer server;
  const auto connection = connect(server.config(), seconds(10), 10000);
  server.fail_next({.kind = ApiFault::Kind::kTruncate, .times = 2});
  auto reply = connection->request({.path = "/api/v1/nodes"}, {});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Code::kUnavailable);
  CHECK_THAT(reply.error().context, ContainsSubstring("closed before the response was complete"));

  FakeApiServer other;
  const auto second = connect(other.config(), seconds(10), 10000);
  other.fail_next({.kind = ApiFault::Kind::kHuge, .bytes = 10001});
  reply = second->request({.path = "/api/v1/nodes"}, {});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Code::kInternal);
  CHECK_THAT(reply.error().context, ContainsSubstring("larger than 10000 bytes"));
  CHECK(second->request({.path = "/api/v1/nodes"}, {}));
}

TEST_CASE("a connection the server closed in the meantime costs no failure") {
  auto server = std::make_unique<FakeApiServer>();
  const auto connection = connect(server->config());
  REQUIRE(connection->request({.path = "/api/v1/nodes"}, {}));
  server->fail_next({.kind = ApiFault::Kind::kTruncate});
  CHECK_FALSE(connection->request({.path = "/api/v1/nodes"}, {}));
  for (int i = 0; i < 20; ++i) CHECK(connection->request({.path = "/api/v1/nodes"}, {}));
}

TEST_CASE("a token file is sent, and one with a line break inside is not") {
  FakeApiServer server;
  const std::string path = fmt::format("{}/pintle-token-{}", std::filesystem::temp_directory_path().string(), ::getpid());
  std::ofstream(path) << "secret-token\n";
  Kubeconfig config = server.config();
  config.token.file = path;
  CHECK(connect(config)->request({.path = "/api/v1/nodes"}, {}));
  CHECK(server.calls().at(0).authorization == "Bearer secret-token");
  std::ofstream(path) << "a\nX-Evil: 1\n";
  const auto reply = connect(config)->request({.path = "/api/v1/nodes"}, {});
  REQUIRE_FALSE(reply);
  CHECK(reply.error().code == Code::kInvalid);
  std::filesystem::remove(path);
}

TEST_CASE("a limiter paces the connections that share it") {
  FakeApiServer server;
  RateLimiter limiter(kClock, 50, 2);
  auto made = ApiConnection::create(server.config(), kClock, {.name = "bulk", .limiter = &limiter});
  REQUIRE(made);
  const auto begun = kClock.steady();
  for (int i = 0; i < 7; ++i) CHECK((*made)->request({.path = "/api/v1/nodes"}, {}));
  CHECK(kClock.steady() - begun >= milliseconds(90));  // five waits of 20 ms, less the refill while they ran
}
