// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/convert.h"

#include <cstring>

#include <arpa/inet.h>
#include <catch2/catch_test_macros.hpp>

using namespace pintle;
using namespace pintle::bpf;

namespace {

pintle_event event_of(pintle_event_kind kind) {
  pintle_event event{};
  event.kind = static_cast<uint8_t>(kind);
  event.boot_ns = 5'000;
  event.cgroup_id = 42;
  event.tgid = 77;
  std::memcpy(event.comm, "curl", 4);
  return event;
}

}  // namespace

TEST_CASE("a connect tells where to") {
  auto event = event_of(PINTLE_EVENT_CONNECT4);
  REQUIRE(::inet_pton(AF_INET, "10.0.0.1", event.addr) == 1);
  event.port = htons(80);
  event.protocol = 6;
  const auto v4 = to_model(event, PodUid("u"), Duration(1'000'000));
  CHECK(v4.kind == model::ProgramEventKind::kConnect);
  CHECK(v4.destination == "10.0.0.1:80/tcp");
  CHECK(v4.uid == PodUid("u"));
  CHECK(v4.cgroup_id == CgroupId(42));
  CHECK(v4.pid == 77);
  CHECK(v4.comm == "curl");
  CHECK(v4.time == Time(Duration(1'005'000)));

  event = event_of(PINTLE_EVENT_CONNECT6);
  REQUIRE(::inet_pton(AF_INET6, "::1", event.addr) == 1);
  event.port = htons(53);
  event.protocol = 17;
  CHECK(to_model(event, {}, {}).destination == "[::1]:53/udp");
  event.protocol = 99;
  CHECK(to_model(event, {}, {}).destination == "[::1]:53/proto-99");
}

TEST_CASE("an exit carries the wait status, and a full comm has no terminator") {
  auto event = event_of(PINTLE_EVENT_EXIT);
  event.exit_code = 3 << 8;
  std::memset(event.comm, 'x', sizeof event.comm);
  const auto exit = to_model(event, {}, {});
  CHECK(exit.kind == model::ProgramEventKind::kExit);
  CHECK(exit.exit_code == 3 << 8);
  CHECK(exit.comm == std::string(16, 'x'));
  CHECK(exit.destination.empty());
  CHECK(to_model(event_of(PINTLE_EVENT_EXEC), {}, {}).kind == model::ProgramEventKind::kExec);
}
