// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A server of our own behind a Unix socket: the kubeconfig's address stands for the messages of others, nothing speaks TLS.
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <thread>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "base/unique_fd.h"
#include "fakes/store/temp_dir.h"
#include "kube/api_connection.h"
#include "kube/watch_connection.h"

using namespace pintle;
using Catch::Matchers::ContainsSubstring;

namespace {

// Answers each request of one connection after the other with its number.
class NumberingServer {
 public:
  explicit NumberingServer(const std::string& path) : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    path.copy(name.sun_path, sizeof name.sun_path - 1);
    REQUIRE(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) == 0);
    REQUIRE(::listen(listener_.get(), 4) == 0);
    thread_ = std::jthread([this] { serve(); });
  }
  ~NumberingServer() { (void)::shutdown(listener_.get(), SHUT_RDWR); }

 private:
  void serve() {
    int requests = 0;
    for (;;) {
      const UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (!connection.valid()) return;
      std::string text;
      char buffer[4096];
      for (ssize_t n = 0; (n = ::recv(connection.get(), buffer, sizeof buffer, 0)) > 0;) {
        text.append(buffer, static_cast<size_t>(n));
        if (!text.ends_with("\r\n\r\n")) continue;
        text.clear();
        const std::string body = fmt::format("{}", ++requests);
        const auto answer =
            fmt::format("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{}", body.size(), body);
        (void)!::send(connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      }
    }
  }
  UniqueFd listener_;
  std::jthread thread_;
};

kube::Kubeconfig behind(const std::string& socket) {
  kube::Kubeconfig config;
  config.host = "127.0.0.1";
  config.port = 1;  // nobody's
  config.socket = socket;
  return config;
}

}  // namespace

TEST_CASE("requests go to the socket, one connection for many of them") {
  const fakes::TempDir dir;
  const SystemClock clock;
  const NumberingServer server(dir / "api.sock");
  const auto config = behind(dir / "api.sock");
  CHECK(config.url() == "https://127.0.0.1:1");
  CHECK(config.peer() == "unix:" + (dir / "api.sock"));
  CHECK(!config.uses_tls());
  const auto connection = kube::ApiConnection::create(config, clock, {.name = "test"});
  REQUIRE(connection);
  int before = -1;
  for (const char* number : {"1", "2", "3"}) {
    const auto answer = (*connection)->request({.path = "/version"}, {});
    REQUIRE(answer);
    CHECK(*answer == number);
    const int socket = (*connection)->socket_for_test();
    CHECK((before == -1 || socket == before));
    before = socket;
  }
}

TEST_CASE("a connection that others poll for goes there too") {
  const fakes::TempDir dir;
  const NumberingServer server(dir / "api.sock");
  const auto config = behind(dir / "api.sock");
  const auto addresses = kube::resolve(config);
  REQUIRE(addresses);
  REQUIRE(addresses->size() == 1);
  auto connection = kube::WatchConnection::open(config, addresses->front(), nullptr);
  REQUIRE(connection);
  connection->send("GET /version HTTP/1.1\r\nHost: n\r\n\r\n");
  std::string body;
  for (int turns = 0; turns < 100 && body.empty(); ++turns) {
    pollfd wait{connection->fd(), connection->events(), 0};
    REQUIRE(::poll(&wait, 1, 10'000) == 1);
    const auto moved = connection->advance([&](std::string_view part) { body += part; });
    REQUIRE(moved);
  }
  CHECK(body == "1");
}

TEST_CASE("who isn't there is named by the socket") {
  const fakes::TempDir dir;
  const SystemClock clock;
  const auto missing = kube::ApiConnection::create(behind(dir / "api.sock"), clock, {.name = "test"});
  REQUIRE(missing);
  const auto answer = (*missing)->request({.path = "/version"}, {});
  REQUIRE(!answer);
  CHECK(answer.error().code == Code::kUnavailable);
  CHECK(answer.error().sys_errno == ENOENT);
  CHECK_THAT(answer.error().message(), ContainsSubstring("unix:" + (dir / "api.sock")));

  const auto too_long = kube::resolve(behind("/" + std::string(120, 'a')));
  REQUIRE(!too_long);
  CHECK(too_long.error().code == Code::kInvalid);
}
