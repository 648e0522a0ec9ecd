// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "app/event_ring.h"

using namespace pintle;

TEST_CASE("events come back as they were recorded, the newest ones") {
  app::EventRing ring;
  const model::Event full{.object = {"v1", "Pod", "default", "web", "uid-1", "17", "spec.containers{c0}"},
                          .type = model::EventType::kWarning,
                          .reason = "BackOff",
                          .message = std::string("with a zero \0 inside", 20),
                          .time = Time{std::chrono::seconds(1'800'000'000)}};
  const model::Event empty;
  for (size_t i = 0; i < app::EventRing::kKept; ++i) ring.record(empty);
  ring.record(full);
  const auto events = ring.list();
  REQUIRE(events.size() == app::EventRing::kKept);
  CHECK(events.front() == empty);
  CHECK(events.back() == full);
}
