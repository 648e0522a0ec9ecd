// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/side_thread.h"

#include <atomic>

#include <sched.h>

#include <catch2/catch_test_macros.hpp>

#include "bpf/program_loader.h"

using namespace pintle::bpf;

namespace {

// This thread's processors while it lives.
class Processors {
 public:
  Processors() { REQUIRE(::sched_getaffinity(0, sizeof before_, &before_) == 0); }
  ~Processors() { (void)::sched_setaffinity(0, sizeof before_, &before_); }  // ignoring: what was allowed before
  Processors(const Processors&) = delete;
  Processors& operator=(const Processors&) = delete;
  [[nodiscard]] int count() const { return CPU_COUNT(&before_); }
  static void only_this_one() {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<size_t>(::sched_getcpu()), &one);
    REQUIRE(::sched_setaffinity(0, sizeof one, &one) == 0);
  }

 private:
  cpu_set_t before_{};
};

}  // namespace

TEST_CASE("a side thread begins on another processor") {
  const Processors processors;
  if (processors.count() < 2) SKIP("one processor");
  std::atomic<int> first{-1};
  const int here = ::sched_getcpu();
  SideThread thread;
  REQUIRE(thread.start([&] { first = ::sched_getcpu(); }));
  thread.join();
  const bool moved = ::sched_getcpu() != here;  // by the scheduler, meanwhile
  CHECK((moved || first != here));
  CHECK(first >= 0);
}

TEST_CASE("where there is one processor a side thread begins there") {
  const Processors processors;
  Processors::only_this_one();
  const int here = ::sched_getcpu();
  std::atomic<int> first{-1};
  SideThread thread;
  REQUIRE(thread.start([&] { first = ::sched_getcpu(); }));
  CHECK(thread.running());
  thread.join();
  CHECK(!thread.running());
  CHECK(first == here);
}

TEST_CASE("a loader's errands are done beside the one who asks, who gets their answers") {
  const Processors processors;
  SECTION("two processors or more") {}
  SECTION("one") { Processors::only_this_one(); }
  ProgramLoader loader;
  std::promise<int> told;
  auto doubled = loader.aside([asked = told.get_future()]() mutable { return 2 * asked.get(); });  // waits for what comes after
  auto nothing = loader.aside([] {});
  told.set_value(21);
  CHECK(loader.wait(std::move(doubled)) == 42);
  loader.wait(std::move(nothing));
}
