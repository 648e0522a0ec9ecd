// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "standalone/worker_pool.h"

#include <catch2/catch_test_macros.hpp>
#include <latch>
#include <semaphore>

namespace pintle::standalone {

TEST_CASE("the pool grows with tasks that wait, up to its bound, and takes tasks again after") {
  std::latch release(1);
  std::counting_semaphore<> done(0);
  WorkerPool pool({.most_threads = 3, .idle = std::chrono::milliseconds(10'000)});
  for (int i = 0; i < 3; ++i) REQUIRE(pool.submit([&] { release.wait(), done.release(); }));
  CHECK(pool.threads() == 3);
  CHECK_FALSE(pool.submit([] {}));
  release.count_down();
  for (int i = 0; i < 3; ++i) done.acquire();
  bool taken = false;
  while (!taken) taken = pool.submit([&] { done.release(); });  // a worker that is done needs a moment to be idle
  done.acquire();
}

TEST_CASE("idle workers end") {
  std::counting_semaphore<> done(0);
  WorkerPool pool({.most_threads = 4, .idle = std::chrono::milliseconds(1)});
  REQUIRE(pool.submit([&] { done.release(); }));
  done.acquire();
  while (pool.threads() > 0) std::this_thread::yield();
  REQUIRE(pool.submit([&] { done.release(); }));
  done.acquire();
}

}  // namespace pintle::standalone
