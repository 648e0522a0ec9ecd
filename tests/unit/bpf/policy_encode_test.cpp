// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/policy_encode.h"

#include <arpa/inet.h>
#include <linux/bpf.h>
#include <catch2/catch_test_macros.hpp>

#include "bpf/guard_tables.h"
#include "bpf/plan_words.h"
#include "lib/event_abi.h"

using namespace pintle;
using namespace pintle::bpf;

namespace {

// As a longest-prefix match over the port rows answers it.
bool in_blocks(const PolicyMapRows& rows, uint8_t protocol, uint16_t port) {
  for (const auto& key : rows.ports) {
    const uint32_t bits = 16 - (key.length - PINTLE_PORT_BITS);
    if (key.protocol == protocol && (port >> bits) == (ntohs(key.port) >> bits)) return true;
  }
  return false;
}

model::PolicyDirection one_class(std::vector<model::PortRange> ranges, const char* prefix = "10.0.0.0/8") {
  return {{std::move(ranges)}, {{*model::parse_prefix(prefix), 0}}};
}

}  // namespace

TEST_CASE("a class's ports are rows of their own; one of every protocol is one row") {
  const auto rows = encode({one_class({{6, 80, 80}, {17, 53, 53}}), one_class({{0, 0, 65535}}, "10.0.0.1")}, 5);
  REQUIRE(rows);
  REQUIRE(rows->ports.size() == 3);
  CHECK(rows->ports[0].set == PINTLE_SET_OF(5U, PINTLE_INGRESS));
  CHECK(rows->ports[0].length == PINTLE_PORT_BITS + 16);
  CHECK(rows->ports[2].set == PINTLE_SET_OF(5U, PINTLE_EGRESS));
  CHECK(rows->ports[2].length == PINTLE_CLASS_BITS);
  REQUIRE(rows->prefixes.size() == 1);
  CHECK(rows->prefixes[0].length == PINTLE_SET_BITS + 96 + 8);
  REQUIRE(rows->addresses.size() == 1);
  CHECK(rows->addresses[0].set == PINTLE_SET_OF(5U, PINTLE_EGRESS));
  CHECK(rows->flags == (PINTLE_HAS_PREFIXES | PINTLE_HAS_ADDRESSES << 1));
}

TEST_CASE("ranges become blocks that hold just their ports") {
  std::vector<model::PortRange> ranges;
  ranges.push_back({6, 1000, 1999});
  ranges.push_back({17, 0, 0});
  ranges.push_back({132, 0, 65535});
  ranges.push_back({33, 65535, 65535});
  const auto rows = encode({one_class(ranges), {}}, 1);
  REQUIRE(rows);
  for (uint32_t port = 0; port <= 65535; ++port) {
    const auto asked = static_cast<uint16_t>(port);
    if (in_blocks(*rows, 6, asked) != (port >= 1000 && port <= 1999)) FAIL("tcp " << port);
    if (in_blocks(*rows, 17, asked) != (port == 0)) FAIL("udp " << port);
    if (!in_blocks(*rows, 132, asked)) FAIL("sctp " << port);
    if (in_blocks(*rows, 33, asked) != (port == 65535)) FAIL("dccp " << port);
  }
}

TEST_CASE("an empty class has no row, and a class that is not there is an error") {
  const auto rows = encode({{{{}}, {{*model::parse_prefix("::/0"), 0}}}, {}}, 1);
  REQUIRE(rows);
  CHECK(rows->ports.empty());
  REQUIRE(rows->prefixes.size() == 1);
  CHECK(rows->prefixes[0].length == PINTLE_SET_BITS);
  CHECK(encode({{{}, {{*model::parse_prefix("::1"), 0}}}, {}}, 1).error().code == Code::kInvalid);
}

TEST_CASE("a plan as the words of a slot") {
  model::ProgramPlan plan;
  CHECK(control_of(plan).flags == 0);
  plan.network_policy = 7;
  plan.isolate_ingress = plan.isolate_egress = true;
  CHECK(control_of(plan).flags == 0);  // enforcement is off
  CHECK(control_of(plan).policy == 0);
  plan.network = model::Enforcement::kAudit;
  CHECK(control_of(plan).policy == 7);
  CHECK(control_of(plan).flags == PINTLE_NETWORK_FLAGS);
  plan.network = model::Enforcement::kEnforce;
  CHECK(control_of(plan).flags == PINTLE_ISOLATED);
  plan = {.traces = {model::Trace::kBind, model::Trace::kTcp}, .sysctl_writes = model::Enforcement::kEnforce};
  CHECK(control_of(plan).flags == (PINTLE_TRACE_BIND | PINTLE_TRACE_TCP | PINTLE_DENY_SYSCTL));
  plan = {.denied_devices = {{}}, .sysctl_writes = model::Enforcement::kAudit, .denied_sockopts = {{1, 2}}};
  CHECK(control_of(plan).flags == (PINTLE_GUARD_DEVICES | PINTLE_GUARD_SOCKOPTS | PINTLE_AUDIT_SYSCTL));
}

TEST_CASE("device rules as rows: both types where none is named, accesses of one device together") {
  using model::DeviceRule;
  const auto rows = GuardTables::device_rows(3, {DeviceRule{.type = 'a', .mknod = true}, DeviceRule{'c', 10, 229, true, false, false},
                                                 DeviceRule{'c', 10, 229, false, true, false}});
  REQUIRE(rows.size() == 3);
  CHECK(rows[0].first.type == BPF_DEVCG_DEV_BLOCK);
  CHECK(rows[1].first.type == BPF_DEVCG_DEV_CHAR);
  CHECK(rows[1].first.major == PINTLE_DEVICE_ANY);
  CHECK(rows[2].first.minor == 229);
  CHECK(rows[2].first.slot == 3);
  CHECK(rows[2].second == (BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE));
}
