// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/child_process.h"

#include <signal.h>

#include <thread>

#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using namespace std::chrono_literals;

namespace {

const SystemClock kClock;

ChildRun shell(std::string script) { return {.path = "/bin/sh", .args = {"-c", std::move(script), "plugin"}}; }
Result<ChildOutput> run(ChildRun what) { return run_child(what, kClock, {}); }

}  // namespace

TEST_CASE("a program gets input, arguments and environment, and its output comes back") {
  auto what = shell("read line; echo \"$line $1 $NAME $HOME\"; echo warning >&2");
  what.args.push_back("one argument");
  what.environment = {"NAME=a value", "HOME=/over/ours"};
  what.input = "hello\n";
  const auto said = run(what);
  REQUIRE(said);
  CHECK(said->out == "hello one argument a value /over/ours\n");
  CHECK(said->err == "warning\n");
  // One that reads nothing, and one that writes much.
  CHECK(run(shell("exec true")));
  const auto much = run(shell("head -c 300000 /dev/zero"));
  REQUIRE(much);
  CHECK(much->out.size() == 300'000);
}

TEST_CASE("what went wrong with a program is told without what it wrote to stdout") {
  struct Row {
    ChildRun what;
    Code code;
    std::string told;
  };
  auto slow = shell("echo secret; echo still trying >&2; exec sleep 3600");
  slow.timeout = 200ms;
  auto loud = shell("echo secret; exec cat /dev/zero");
  loud.most_output = 100'000;
  const Row rows[] = {
      {{.path = "/no/such/program"}, Code::kNotFound, "run '/no/such/program': No such file or directory"},
      {shell("echo secret; exit 3"), Code::kUnavailable, "'/bin/sh' ended with code 3"},
      {shell("echo secret; echo first >&2; printf 'no\\ttoken\\n\\n' >&2; exit 1"), Code::kUnavailable,
       "'/bin/sh' ended with code 1: no?token"},
      {shell("kill -9 $$"), Code::kUnavailable, "'/bin/sh' was ended by signal 9"},
      {slow, Code::kUnavailable, "'/bin/sh' has not ended after 200ms: still trying"},
      {loud, Code::kUnavailable, "'/bin/sh' wrote more than 100000 bytes"},
  };
  for (const auto& row : rows) {
    INFO(row.told);
    const auto said = run(row.what);
    REQUIRE_FALSE(said);
    CHECK(said.error().code == row.code);
    CHECK(said.error().message() == row.told);
  }
}

TEST_CASE("a program is killed when we are asked to stop, and whom it left behind with it") {
  std::stop_source stop;
  std::jthread stopper;
  auto what = shell("sleep 3600 & echo $! >&2; wait");
  const auto begun = kClock.steady();
  stop.request_stop();
  const auto said = run_child(what, kClock, stop.get_token());
  REQUIRE_FALSE(said);
  CHECK(said.error().code == Code::kCancelled);
  CHECK(kClock.steady() - begun < 60s);
  // One that ends by itself leaves nobody: a pipe that somebody holds open keeps us no longer either.
  const auto left = run(shell("sleep 3600 & echo $!"));
  REQUIRE(left);
  const pid_t pid = std::stoi(left->out);
  for (int i = 0; i < 10'000 && ::kill(pid, 0) == 0; ++i) std::this_thread::yield();
  std::string state;
  if (FILE* const file = std::fopen(("/proc/" + std::to_string(pid) + "/stat").c_str(), "r"); file != nullptr) {
    char kind = 0;
    if (std::fscanf(file, "%*d %*s %c", &kind) == 1) state = kind;
    (void)std::fclose(file);
  }
  CHECK((state.empty() || state == "Z"));  // where nobody reaps orphans it stays as that
}
