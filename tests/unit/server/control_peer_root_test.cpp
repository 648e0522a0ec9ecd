// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Needs root: another user's process tries to speak to the daemon. The socket's mode is opened for all on purpose, so that
// only the check of the peer's credentials stands in the way.
#include <grp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <mutex>

#include <catch2/catch_test_macros.hpp>

#include "base/log.h"
#include "fakes/agent/fake_agent_view.h"
#include "server/control_service.h"
#include "unit/server/agent_samples.h"

using namespace pintle;

namespace {

constexpr uid_t kNobody = 65534;
constexpr gid_t kSomeGroup = 12345;

// In a child of another user: 0 the daemon hung up, 1 it sent something (HTTP/2 settings), 2 and above: the test is broken.
int speak_as(uid_t uid, gid_t extra_group, const std::string& path) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) {
    if (::setgroups(extra_group == 0 ? 0 : 1, &extra_group) != 0 || ::setgid(kNobody) != 0 || ::setuid(uid) != 0) ::_exit(2);
    const int fd = ::socket(AF_UNIX, SOCK_STREAM, 0);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) ::_exit(3);
    (void)::send(fd, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33, MSG_NOSIGNAL);
    pollfd wait{fd, POLLIN, 0};
    if (::poll(&wait, 1, 10'000) != 1) ::_exit(4);
    char byte = 0;
    ::_exit(::recv(fd, &byte, 1, 0) == 1 ? 1 : 0);
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  return WEXITSTATUS(status);
}

}  // namespace

TEST_CASE("a peer of another user is refused, with a line in the log; a member of the group is not") {
  if (::geteuid() != 0) SKIP("needs root, to become another user");
  test::TempDir dir;
  const auto path = dir / "c.sock";
  REQUIRE(::chmod((dir / "").c_str(), 0755) == 0);
  std::mutex mutex;
  std::vector<std::string> lines;
  set_log_sink([&](LogLevel, std::string_view, std::string_view message) {
    const std::scoped_lock lock(mutex);
    lines.emplace_back(message);
  });
  fakes::FakeAgentView agent;
  fakes::FakeLogReader logs;
  auto service = server::ControlService::start(agent, logs, {.socket_path = path, .group = kSomeGroup});
  REQUIRE(service);
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK(info.st_gid == kSomeGroup);
  REQUIRE(::chmod(path.c_str(), 0666) == 0);
  CHECK(speak_as(kNobody, 0, path) == 0);
  CHECK(speak_as(kNobody, kSomeGroup, path) == 1);
  CHECK(speak_as(0, 0, path) == 1);
  (*service)->stop();
  set_log_sink({});
  REQUIRE(lines.size() == 1);
  CHECK(lines[0].find("of uid 65534: only root") != std::string::npos);
}
