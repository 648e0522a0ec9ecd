// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// G7 with as many points as PINTLE_CRASH_POINTS says, from the seed PINTLE_CRASH_SEED: a fault's message has both.
#include <cstdlib>

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

#include "../crash_points.h"
#include "../kernel_fixture.h"

using namespace pintle;

namespace {

uint64_t from_environment(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

}  // namespace

TEST_CASE("G7: killed at any point, one reconcile leaves no orphan pin, no missing hook, no changed link") {
  const crash::Options options{.bpffs = kernel_test::require_kernel(),
                               .cgroups = kernel_test::cgroup_home() + "/crash",
                               .sets_folder = kernel_test::sets_folder(),
                               .points = static_cast<int>(from_environment("PINTLE_CRASH_POINTS", 40)),
                               .seed = from_environment("PINTLE_CRASH_SEED", 7)};
  const auto figures = crash::run_crash_points(options);
  if (!figures && figures.error().code == Code::kUnsupported) kernel_test::missing({5, 8}, figures.error().message());
  INFO((figures ? std::string() : figures.error().message()));
  REQUIRE(figures);
  if (const char* file = std::getenv("PINTLE_CRASH_JSON"))
    REQUIRE(write_file_atomic(
        file,
        fmt::format(R"({{"points": {}, "killed": {}, "ended": {}, "switches": {}, "orphan_pins": {}, "missing_hooks": {}, )"
                    R"("changed_links": {}, "leaked_slots": {}, "left_folders": {}, "without_programs": {}, "mixed_sets": {}}})",
                    figures->points, figures->points, figures->ended, figures->switches, figures->orphan_pins, figures->missing_hooks,
                    figures->changed_links, figures->leaked_slots, figures->left_folders, figures->without_programs, figures->mixed_sets),
        0644));
  INFO(figures->first_fault);
  CHECK(figures->points == options.points);  // each a kill
  CHECK(figures->orphan_pins == 0);
  CHECK(figures->missing_hooks == 0);
  CHECK(figures->changed_links == 0);
  CHECK(figures->leaked_slots == 0);
  CHECK(figures->left_folders == 0);
  CHECK(figures->without_programs == 0);
  CHECK(figures->mixed_sets == 0);
  CHECK(figures->faults() == 0);
  WARN(figures->points << " kills, " << figures->ended << " children that ended, " << figures->switches << " sets switched, "
                       << figures->faults() << " faults");
}
