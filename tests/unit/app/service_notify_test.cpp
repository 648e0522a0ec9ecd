// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The service manager's side of sd_notify(3), played by a datagram socket of the test's own.
#include "app/service_notify.h"

#include <cstdlib>
#include <cstring>

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"

using namespace pintle;

namespace {

class Manager {
 public:
  explicit Manager(const std::string& name) : name_(name), socket_(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::memcpy(address.sun_path, name.data(), name.size());
    if (name.front() == '@') address.sun_path[0] = '\0';
    const auto size = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + name.size() + (name.front() == '@' ? 0 : 1));
    REQUIRE(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&address), size) == 0);
    REQUIRE(::setenv("NOTIFY_SOCKET", name.c_str(), 1) == 0);
  }
  ~Manager() {
    (void)::unsetenv("NOTIFY_SOCKET");
    if (name_.front() == '/') (void)::unlink(name_.c_str());
  }
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;

  // Empty: nothing was said.
  [[nodiscard]] std::string heard() {
    char buffer[512];
    const ssize_t size = ::recv(socket_.get(), buffer, sizeof buffer, 0);
    return size < 0 ? std::string() : std::string(buffer, static_cast<size_t>(size));
  }

 private:
  const std::string name_;
  const UniqueFd socket_;
};

}  // namespace

TEST_CASE("1.11: the service manager is told in its own protocol, by path and by abstract name") {
  for (const auto& name : {fmt::format("/tmp/pintle-notify-{}", ::getpid()), fmt::format("@pintle-notify-{}", ::getpid())}) {
    INFO(name);
    Manager manager(name);
    app::notify_ready("3 pods");
    CHECK(manager.heard() == "READY=1\nSTATUS=3 pods");
    app::notify_status("4 pods");
    CHECK(manager.heard() == "STATUS=4 pods");
    app::notify_stopping();
    CHECK(manager.heard() == "STOPPING=1");
    CHECK(manager.heard().empty());
  }
}

TEST_CASE("1.11: without a service manager, or with an address that is none, nothing happens") {
  (void)::unsetenv("NOTIFY_SOCKET");
  app::notify_ready("nobody hears");
  for (const auto& name : {std::string("vsock:2:1"), std::string(200, '/')}) {
    REQUIRE(::setenv("NOTIFY_SOCKET", name.c_str(), 1) == 0);
    app::notify_ready("nobody hears");
  }
  (void)::unsetenv("NOTIFY_SOCKET");
}

TEST_CASE("1.11: the watchdog is for the process that it names") {
  struct Row {
    const char* interval;
    std::string pid;
    std::optional<std::chrono::microseconds> expected;
  };
  const auto mine = std::to_string(::getpid());
  for (const auto& row : {Row{"30000000", "", std::chrono::seconds(30)}, Row{"30000000", mine, std::chrono::seconds(30)},
                          Row{"30000000", "1", std::nullopt}, Row{"0", mine, std::nullopt}, Row{"soon", mine, std::nullopt}}) {
    INFO(row.interval << " for " << row.pid);
    REQUIRE(::setenv("WATCHDOG_USEC", row.interval, 1) == 0);
    REQUIRE(::setenv("WATCHDOG_PID", row.pid.c_str(), 1) == 0);
    CHECK(app::watchdog_interval() == row.expected);
  }
  (void)::unsetenv("WATCHDOG_USEC");
  (void)::unsetenv("WATCHDOG_PID");
  CHECK(app::watchdog_interval() == std::nullopt);
}
