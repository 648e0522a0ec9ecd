// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The exit codes of docs/cli.md, one row each, and that every command has a help with examples.
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <functional>
#include <sstream>

#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"
#include "ctl/cli.h"
#include "unit/ctl/ctl_fixture.h"

using namespace pintle;
using test::CtlFixture;

TEST_CASE("exit codes: what the words alone decide") {
  CtlFixture f;
  struct Case {
    std::vector<std::string> words;
    int code;
  };
  const Case kCases[] = {{{"version"}, 0},
                         {{"--version"}, 0},
                         {{"--help"}, 0},
                         {{"completion", "bash"}, 0},
                         {{}, 2},
                         {{"nonsense"}, 2},
                         {{"get"}, 2},
                         {{"get", "pods", "--nonsense"}, 2},
                         {{"get", "pods", "-o", "nonsense"}, 2},
                         {{"get", "pods", "-o", "jsonpath={"}, 2},
                         {{"get", "pods", "web", "-A"}, 2},
                         {{"get", "pods", "web", "-l", "a=b"}, 2},
                         {{"get", "nodes", "-w"}, 2},
                         {{"get", "pods", "-l", "a=b=c("}, 2},
                         {{"get", "pod/web", "node/x"}, 2},
                         {{"run"}, 2},
                         {{"run", "-f", "x", "--wait=never"}, 2},
                         {{"run", "-f", "x", "--timeout", "soon"}, 2},
                         {{"run", "-f", "/does/not/exist"}, 4},
                         {{"logs"}, 2},
                         {{"logs", "web", "--since", "1x"}, 2},
                         {{"logs", "node/x"}, 2},
                         {{"delete"}, 2},
                         {{"delete", "pod"}, 2},
                         {{"describe", "configmap", "c"}, 2},
                         {{"ebpf"}, 2},
                         {{"ebpf", "status", "node/x"}, 2},
                         {{"ebpf", "status", "-w", "--interval", "never"}, 2},
                         {{"ebpf", "explain"}, 2},
                         {{"ebpf", "explain", "web", "no_such_hook"}, 2},
                         {{"ebpf", "top", "-n", "0"}, 2},
                         {{"ebpf", "top", "-n", "soon"}, 2},
                         {{"ebpf", "top", "--sort", "nonsense"}, 2},
                         {{"ebpf", "trace", "nonsense"}, 2},
                         {{"ebpf", "trace", "all", "--for", "0s"}, 2},
                         {{"ebpf", "events", "--for", "x"}, 2},
                         {{"ebpf", "policy"}, 2},
                         {{"ebpf", "policy", "test", "a", "b"}, 2},
                         {{"ebpf", "policy", "test", "a", "b", "http"}, 2},
                         {{"ebpf", "policy", "test", "a", "b", "80/icmp"}, 2},
                         {{"ebpf", "policy", "test", "a", "b", "0"}, 2},
                         {{"ebpf", "policy", "show"}, 4},
                         {{"ebpf", "progs"}, 4},
                         {{"ebpf", "dump"}, 2},
                         {{"ebpf", "dump", "7", "--xlated", "--jited"}, 2},
                         {{"explain", "node/x"}, 2},
                         {{"completion", "tcsh"}, 2}};
  for (const auto& item : kCases) {
    const auto ran = f.ctl(item.words);
    INFO((item.words.empty() ? "" : item.words.front()) << " -> " << ran.out << ran.err);
    CHECK(ran.code == item.code);
    if (item.code != 0) {
      CHECK(ran.err.starts_with("error: "));
      CHECK(ran.out.empty());
    }
  }
}

TEST_CASE("exit code 3: no daemon, and one line says what was tried and how to start it") {
  CtlFixture f;
  const auto line = [&](const std::string& path) {
    const auto ran = f.ctl({"get", "pods", "--socket", path});
    CHECK(ran.code == 3);
    CHECK(ran.out.empty());
    CHECK(std::count(ran.err.begin(), ran.err.end(), '\n') == 1);
    return ran.err;
  };
  CHECK(line(f.dir / "none.sock") ==
        "error: no daemon at '" + (f.dir / "none.sock") +
            "': there is no such socket; start the daemon with 'systemctl start pintled', or 'pintled' as root in another "
            "terminal; another socket is named by --socket or PINTLE_SOCKET\n");
  f.service.reset();
  UniqueFd left(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  f.path.copy(address.sun_path, sizeof address.sun_path - 1);
  REQUIRE(::bind(left.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  CHECK(line(f.path).find("nobody listens") != std::string::npos);
}

TEST_CASE("exit codes follow what the daemon answers") {
  const std::pair<Code, int> kCases[] = {{Code::kNotFound, 1},      {Code::kGone, 1},        {Code::kInvalid, 4},  {Code::kUnsupported, 4},
                                         {Code::kAlreadyExists, 4}, {Code::kUnavailable, 5}, {Code::kInternal, 5}, {Code::kCancelled, 130}};
  for (const auto& [code, expected] : kCases) {
    CtlFixture f;
    f.agent.with_faults([&, c = code](auto& faults) { faults.fail("apply", 1, Error{c, 0, "the cause"}); });
    const auto ran = f.ctl({"run", "-f", f.write("m", "x")});
    CHECK(ran.code == expected);
    CHECK(ran.err.starts_with("error: the cause"));
  }
}

TEST_CASE("every command has a help with examples") {
  CtlFixture f;
  const std::function<void(const ctl::CompletionCommand&)> check = [&](const ctl::CompletionCommand& command) {
    std::vector<std::string> words;
    std::istringstream path(command.path);
    for (std::string word; path >> word;) words.push_back(word);
    words.emplace_back("--help");
    const auto ran = f.ctl(words);
    INFO(command.path);
    CHECK(ran.code == 0);
    CHECK(ran.out.find("Examples:") != std::string::npos);
    for (const auto& child : command.commands) check(child);
  };
  for (const auto& command : ctl::command_tree().commands) check(command);
  CHECK(f.ctl({"--help"}).out.find("Exit codes:") != std::string::npos);
}
