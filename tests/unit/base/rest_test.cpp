// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "base/rest.h"

#include <array>
#include <cstdint>
#include <thread>

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <catch2/catch_test_macros.hpp>

#include "base/unique_fd.h"
#include "sanitized.h"

using namespace pintle;

#if !defined(PINTLE_SANITIZED)
namespace {

[[gnu::noinline]] uintptr_t grow() {
  std::array<volatile char, 128 * 1024> deep;
  for (auto& byte : deep) byte = 'x';
  return reinterpret_cast<uintptr_t>(deep.data());
}

bool resident(uintptr_t address) {
  unsigned char told = 0;
  const auto page = static_cast<uintptr_t>(::sysconf(_SC_PAGESIZE));
  // NOLINTNEXTLINE(performance-no-int-to-ptr): an address is all that is asked about
  REQUIRE(::mincore(reinterpret_cast<void*>(address & ~(page - 1)), page, &told) == 0);
  return (told & 1) != 0;
}

}  // namespace

TEST_CASE("what a thread's stack grew to is given back, and what is in use stays") {
  std::jthread([] {
    const volatile int mine = 42;
    const uintptr_t deep = grow();
    REQUIRE(resident(deep));
    give_back_stack();
    CHECK_FALSE(resident(deep));
    CHECK_FALSE(resident(deep + 64 * 1024));
    CHECK(mine == 42);
    CHECK(resident(grow()));  // it may grow again
  }).join();
}
#endif

TEST_CASE("a wait ends when there is something, at once or not") {
  const UniqueFd event(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  std::array<pollfd, 1> wait{pollfd{event.get(), POLLIN, 0}};
  CHECK(poll_at_rest(wait, 0) == 0);
  CHECK(poll_at_rest(wait, 1) == 0);
  REQUIRE(::eventfd_write(event.get(), 1) == 0);
  CHECK(poll_at_rest(wait, -1) == 1);
  CHECK(poll_at_rest(wait, 60'000) == 1);
}
