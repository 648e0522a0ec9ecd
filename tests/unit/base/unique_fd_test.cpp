// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include <fcntl.h>
#include <unistd.h>

#include "base/unique_fd.h"

using namespace pintle;

namespace {
bool is_open(int fd) { return ::fcntl(fd, F_GETFD) >= 0; }
UniqueFd open_null() { return UniqueFd(::open("/dev/null", O_RDONLY | O_CLOEXEC)); }
}  // namespace

TEST_CASE("assigning over a live descriptor closes it") {
  UniqueFd first = open_null();
  const int old = first.get();
  UniqueFd second = open_null();
  const int kept = second.get();
  first = std::move(second);
  CHECK_FALSE(is_open(old));
  CHECK(first.get() == kept);
  CHECK_FALSE(second.valid());  // NOLINT(bugprone-use-after-move): the moved-from state is the point
}

TEST_CASE("self-move keeps the descriptor") {
  UniqueFd fd = open_null();
  const int number = fd.get();
  UniqueFd& alias = fd;
  fd = std::move(alias);
  CHECK(fd.get() == number);
  CHECK(is_open(number));
}

TEST_CASE("release hands the descriptor over") {
  UniqueFd fd = open_null();
  const int number = fd.release();
  CHECK_FALSE(fd.valid());
  CHECK(is_open(number));
  UniqueFd owner(number);
}

TEST_CASE("a file is not a directory") {
  const auto dir = DirFd::open("/dev/null");
  REQUIRE_FALSE(dir);
  CHECK(dir.error().code == Code::kInvalid);
  CHECK(dir.error().sys_errno == ENOTDIR);
  CHECK(dir.error().message() == "open directory '/dev/null': Not a directory");
}
