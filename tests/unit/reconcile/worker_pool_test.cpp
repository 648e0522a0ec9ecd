// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "reconcile/worker_pool.h"

#include <atomic>
#include <latch>
#include <thread>

#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using namespace pintle::reconcile;

TEST_CASE("A task that hangs delays no other") {
  std::latch release(1), others(20);  // before the pool, whose destructor waits for the tasks that use them
  WorkerPool pool({.name = "test"});
  pool.submit([&] { release.wait(); });
  for (int i = 0; i < 20; ++i) pool.submit([&] { others.count_down(); });
  others.wait();  // they end while the first one hangs
  CHECK(pool.threads() >= 1);
  release.count_down();
}

TEST_CASE("The pool grows to its bound and no further") {
  std::latch running(4), release(1), all(12);
  WorkerPool pool({.name = "test", .max_threads = 4});
  for (int i = 0; i < 12; ++i)
    pool.submit([&, i] {
      if (i < 4) running.count_down();
      release.wait();
      all.count_down();
    });
  running.wait();
  CHECK(pool.most_threads() == 4);
  release.count_down();
  all.wait();
  CHECK(pool.most_threads() == 4);
}

TEST_CASE("Idle threads end") {
  std::latch done(3), again(1);
  WorkerPool pool({.name = "test", .idle_timeout = std::chrono::milliseconds(1)});
  for (int i = 0; i < 3; ++i) pool.submit([&] { done.count_down(); });
  done.wait();
  while (pool.threads() > 0) std::this_thread::yield();
  pool.submit([&] { again.count_down(); });
  again.wait();
  SUCCEED();
}

TEST_CASE("The end of a burst is told, after its work") {
  std::atomic<int> worked{0}, seen{0};
  std::latch quiet(1);
  std::atomic<bool> told{false};
  WorkerPool pool({.name = "test", .idle_timeout = std::chrono::milliseconds(1), .on_quiet = [&] {
                     if (told.exchange(true)) return;
                     seen = worked.load();
                     quiet.count_down();
                   }});
  std::latch all(8);
  for (int i = 0; i < 8; ++i)
    pool.submit([&] {
      ++worked;
      all.arrive_and_wait();  // eight threads at once
    });
  quiet.wait();
  CHECK(seen == 8);
  pool.shut_down();  // what the callback refers to goes first
}

TEST_CASE("Shutting down waits for what runs and drops what waits") {
  std::atomic<int> ended{0};
  std::latch begun(1), release(1);
  WorkerPool pool({.name = "test", .max_threads = 1});
  pool.submit([&] {
    begun.count_down();
    release.wait();
    ++ended;
  });
  pool.submit([&] { ++ended; });
  begun.wait();
  pool.submit([&] { ++ended; });
  std::jthread helper([&] { release.count_down(); });
  pool.shut_down();
  const int after = ended;
  CHECK(after >= 1);
  pool.submit([&] { ++ended; });
  CHECK(pool.threads() == 0);
  CHECK(ended == after);
}
