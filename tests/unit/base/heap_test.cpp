// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include <malloc.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/heap.h"
#include "sanitized.h"

using namespace pintle;

#if defined(__GLIBC__) && !defined(PINTLE_SANITIZED)
namespace {

long anonymous_kb() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);)
    if (line.starts_with("RssAnon:")) return std::stol(line.substr(8));
  return -1;
}

}  // namespace

TEST_CASE("what a large tree leaves behind in the heap goes back, though the last piece of it stays") {
  std::vector<std::unique_ptr<char[]>> tree;
  const long before = anonymous_kb();
  for (int i = 0; i < 20'000; ++i) {
    tree.emplace_back(new char[1024]);
    tree.back()[0] = 'x';
  }
  const long full = anonymous_kb();
  REQUIRE(full - before > 15'000);
  auto last = std::move(tree.back());  // at the heap's end: nothing shrinks by itself
  tree.clear();
  give_back_heap();
  CHECK(anonymous_kb() - before < 5'000);
  CHECK(last[0] == 'x');
}

TEST_CASE("a program begun anew frees what it frees", "[.begun]") {
  REQUIRE(std::getenv("GLIBC_TUNABLES") != nullptr);
  begin_without_thread_caches(nullptr);
  CHECK(std::getenv("GLIBC_TUNABLES") == nullptr);
  std::ifstream name("/proc/self/comm");
  CHECK(std::string(std::istreambuf_iterator<char>(name), {}) == "base_test\n");
  void* volatile piece = ::malloc(600);  // one that a thread would keep, and fastbins don't
  const size_t held = ::mallinfo2().uordblks;
  ::free(piece);
  const size_t left = ::mallinfo2().uordblks;
  CHECK(left + 600 <= held);
}

TEST_CASE("the process begins anew, once, without its threads' caches") {
  const pid_t child = ::fork();
  if (child == 0) {
    std::string self = "base_test", what = "[.begun]";
    char* argv[] = {self.data(), what.data(), nullptr};
    begin_without_thread_caches(argv);
    ::_exit(99);  // it came back
  }
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  REQUIRE(WIFEXITED(status));
  CHECK(WEXITSTATUS(status) == 0);
}
#endif
