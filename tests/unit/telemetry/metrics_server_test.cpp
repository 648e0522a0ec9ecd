// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "telemetry/metrics_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"

using namespace pintle;
using telemetry::MetricsServer;

namespace {

struct Fixture {
  SystemClock clock;
  std::string page = "pintle_pods 1\n";
  std::unique_ptr<MetricsServer> server;

  explicit Fixture(Duration patience = std::chrono::seconds(10)) {
    auto started = MetricsServer::start({.listen = "127.0.0.1:0", .page = [this] { return page; }, .clock = &clock, .patience = patience});
    REQUIRE(started);
    server = *std::move(started);
  }
  [[nodiscard]] UniqueFd connect() const {
    UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(server->port()));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    REQUIRE(::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
    return fd;
  }
  static void say(const UniqueFd& fd, const std::string& text) {
    REQUIRE(::send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL) == static_cast<ssize_t>(text.size()));
  }
  static std::string hear(const UniqueFd& fd) {
    std::string text;
    char buffer[4096];
    for (ssize_t n = 0; (n = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;) text.append(buffer, static_cast<size_t>(n));
    return text;
  }
  [[nodiscard]] std::string ask(const std::string& request) const {
    const auto fd = connect();
    say(fd, request);
    return hear(fd);
  }
};

}  // namespace

TEST_CASE("GET /metrics is the page in the text format, one answer a connection") {
  Fixture f;
  CHECK(f.ask("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n") ==
        "HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: 14\r\nConnection: close\r\n\r\n"
        "pintle_pods 1\n");
  CHECK(f.ask("GET /metrics?name=x HTTP/1.0\r\n\r\n").starts_with("HTTP/1.1 200 OK\r\n"));
  CHECK(f.ask("HEAD /metrics HTTP/1.1\r\n\r\n").ends_with("Content-Length: 14\r\nConnection: close\r\n\r\n"));
}

TEST_CASE("anything else is refused by name") {
  Fixture f;
  CHECK(f.ask("GET / HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
  CHECK(f.ask("GET /metricsx HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 404 "));
  CHECK(f.ask("POST /metrics HTTP/1.1\r\n\r\n").starts_with("HTTP/1.1 405 "));
  CHECK(f.ask("nonsense\r\n\r\n").starts_with("HTTP/1.1 400 "));
  CHECK(f.ask("GET /metrics\r\n\r\n").starts_with("HTTP/1.1 400 "));
  CHECK(f.ask("GET /metrics HTTP/1.1\r\nX: " + std::string(9000, 'x')).starts_with("HTTP/1.1 431 "));
}

TEST_CASE("a page larger than the socket's buffers, a request in pieces, a silent neighbour") {
  Fixture f;
  f.page = std::string(8 << 20, 'x');
  const auto silent = f.connect();
  const auto slow = f.connect();
  for (const char c : std::string("GET /metrics HTTP/1.1\r\n\r\n")) Fixture::say(slow, std::string(1, c));
  CHECK(f.ask("GET /metrics HTTP/1.1\r\n\r\n").ends_with("xxx"));
  CHECK(Fixture::hear(slow).size() > f.page.size());
}

TEST_CASE("who says nothing is cut off") {
  Fixture f(std::chrono::milliseconds(50));
  CHECK(Fixture::hear(f.connect()).empty());
}

TEST_CASE("addresses: bad ones and taken ones") {
  Fixture f;
  const auto start = [&](const std::string& listen) {
    return MetricsServer::start({.listen = listen, .page = [] { return std::string(); }, .clock = &f.clock});
  };
  for (const char* bad : {"", "9810", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "example.org:1", "::1:9", "[::1:9"}) {
    INFO(bad);
    const auto server = start(bad);
    REQUIRE_FALSE(server);
    CHECK(server.error().code == Code::kInvalid);
  }
  const auto taken = start("127.0.0.1:" + std::to_string(f.server->port()));
  REQUIRE_FALSE(taken);
  CHECK(taken.error().code == Code::kUnavailable);
  CHECK(taken.error().message().find("pintle.metrics.listen") != std::string::npos);
  CHECK(start("localhost:0"));
}
