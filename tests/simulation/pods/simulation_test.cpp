// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Runs seeded histories (sim_world.h). SIM_SEEDS: how many, SIM_FIRST: the first, SIM_SEED: one alone, telling its whole history.
#include <cstdlib>

#include <catch2/catch_test_macros.hpp>

#include "base/log.h"
#include "sim_world.h"

using pintle::sim::Broken;
using pintle::sim::World;

namespace {

uint64_t number_from(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

struct History {
  std::string broken;
  uint64_t hash = 0, events = 0;
  std::vector<std::string> lines;
};

History run(uint64_t seed, bool keep_log) {
  pintle::set_log_level(keep_log ? pintle::LogLevel::kDebug : pintle::LogLevel::kError);  // thousands of histories
  History history;
  World world(seed, keep_log);
  try {
    world.run();
  } catch (const Broken& broken) {
    history.broken = broken.what;
  }
  history.hash = world.log().hash();
  history.events = world.events();
  history.lines = world.log().lines;
  return history;
}

#if defined(NDEBUG)
constexpr uint64_t kSeeds = 10'000;
#else
constexpr uint64_t kSeeds = 400;
#endif

}  // namespace

TEST_CASE("Every history keeps the invariants") {
  const uint64_t only = number_from("SIM_SEED", 0);
  const uint64_t first = only != 0 ? only : number_from("SIM_FIRST", 1);
  const uint64_t count = only != 0 ? 1 : number_from("SIM_SEEDS", kSeeds);
  uint64_t events = 0, failures = 0;
  for (uint64_t seed = first; seed < first + count && failures < 5; ++seed) {
    const History history = run(seed, only != 0);
    events += history.events;
    if (only != 0)
      for (const auto& line : history.lines) fmt::print("{}\n", line);
    if (history.broken.empty()) continue;
    ++failures;
    if (only == 0 && failures == 1) {
      const History told = run(seed, true);
      const size_t from = told.lines.size() > 200 ? told.lines.size() - 200 : 0;
      for (size_t i = from; i < told.lines.size(); ++i) fmt::print("{}\n", told.lines[i]);
    }
    FAIL_CHECK("seed " << seed << ": " << history.broken << " (SIM_SEED=" << seed << " tells the whole history)");
  }
  fmt::print("{} histories from seed {}, {} events\n", count, first, events);
  CHECK(failures == 0);
}

TEST_CASE("One seed is one history") {
  for (const uint64_t seed : {3, 10, 21, 38}) {
    const History once = run(seed, false), again = run(seed, false);
    CHECK(once.hash == again.hash);
    CHECK(once.events == again.events);
  }
  CHECK(run(3, false).hash != run(11, false).hash);
}
