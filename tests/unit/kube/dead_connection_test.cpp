// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// A watch whose server has vanished from the network: nothing is closed, nothing is answered any more. A socket filter that drops every
// packet before TCP sees it makes one out of a loopback connection.
#include <linux/filter.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <thread>

#include <catch2/catch_test_macros.hpp>
#include <catch2/matchers/catch_matchers_string.hpp>

#include "base/unique_fd.h"
#include "kube/api_connection.h"

using namespace pintle;

namespace {

constexpr std::string_view kHead = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n3\r\n{}\n\r\n";

class VanishingServer {
 public:
  VanishingServer() : listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    REQUIRE(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size) == 0);
    REQUIRE(::listen(listener_.get(), 1) == 0);
    REQUIRE(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size) == 0);
    config.tls = false;
    config.host = "127.0.0.1";
    config.port = ntohs(address.sin_port);
    thread_ = std::jthread([this] { answer_once(); });
  }
  // Every packet that arrives from now on is dropped unseen: not even acknowledged.
  [[nodiscard]] bool vanish() {
    sock_filter drop{BPF_RET | BPF_K, 0, 0, 0};
    const sock_fprog program{1, &drop};
    return ::setsockopt(connection_.get(), SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) == 0;
  }
  kube::Kubeconfig config;

 private:
  void answer_once() {
    connection_ = UniqueFd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char request[4096];
    (void)!::recv(connection_.get(), request, sizeof request, 0);
    (void)!::send(connection_.get(), kHead.data(), kHead.size(), MSG_NOSIGNAL);
  }
  UniqueFd listener_, connection_;
  std::jthread thread_;
};

}  // namespace

TEST_CASE("A watch whose server vanished without a word is given up within 15 s") {
  const SystemClock clock;
  VanishingServer server;
  auto connection = kube::ApiConnection::create(server.config, clock, {.name = "watch"});
  REQUIRE(connection);
  bool vanished = false;
  SteadyTime since;
  const auto outcome = (*connection)
                           ->stream("/api/v1/pods?watch=1", std::chrono::seconds(120),
                                    [&](std::string_view) {
                                      vanished = server.vanish();
                                      since = clock.steady();
                                      return true;
                                    },
                                    {});
  const auto noticed_after = clock.steady() - since;
  REQUIRE(vanished);
  REQUIRE_FALSE(outcome);
  CHECK(outcome.error().code == Code::kUnavailable);
  CAPTURE(outcome.error().message(), std::chrono::duration_cast<std::chrono::milliseconds>(noticed_after).count());
  CHECK(noticed_after < std::chrono::seconds(15));
}
