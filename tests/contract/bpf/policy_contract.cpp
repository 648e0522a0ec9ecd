// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "policy_contract.h"

#include <fmt/format.h>
#include <catch2/catch_test_macros.hpp>

namespace pintle::contract {
namespace {

using model::PolicyDirection;
using model::PolicyRows;

constexpr uint8_t kUdp = 17, kSctp = 132, kIcmp = 1;

PolicyDirection::Peer peer(const char* prefix, uint32_t class_index) { return {*model::parse_prefix(prefix), class_index}; }

// A bit of everything: nested prefixes, an except, exact addresses, IPv6, many ranges, a class for all protocols.
PolicyRows sample() {
  PolicyRows rows;
  auto& in = rows.ingress;
  in.classes = {{{kUdp, 53, 53}, {kUdp, 8000, 8999}}, {}, {{0, 0, 65535}}, {}};
  for (uint16_t i = 0; i < 20; ++i)
    in.classes[3].push_back({kUdp, static_cast<uint16_t>(100 * i + 7), static_cast<uint16_t>(100 * i + 7 + 3 * i)});
  in.peers = {peer("10.0.0.0/8", 0), peer("10.1.0.0/16", 1),   peer("10.1.2.0/24", 2), peer("10.1.2.3", 1),
              peer("192.0.2.1", 3),  peer("2001:db8::/32", 0), peer("2001:db8::5", 2), peer("203.0.113.0/25", 3)};
  rows.egress.classes = {{{kUdp, 1, 1}, {kSctp, 5, 6}}};
  rows.egress.peers = {peer("0.0.0.0/0", 0)};
  return rows;
}

void check_same(PolicySubject& subject, uint32_t id, const PolicyRows& rows) {
  for (const char* text : {"10.0.0.1", "10.1.0.1", "10.1.2.1", "10.1.2.3", "11.0.0.1", "192.0.2.1", "192.0.2.2", "2001:db8::1",
                           "2001:db8::5", "2001:db9::1", "203.0.113.127", "203.0.113.128"})
    for (const uint8_t protocol : {kUdp, kSctp, kIcmp})
      for (const uint16_t port : {1, 5, 7, 53, 54, 407, 419, 420, 1907, 1964, 1965, 7999, 8000, 8999, 9000, 65535})
        for (const bool egress : {false, true}) {
          const uint16_t asked = protocol == kIcmp ? 0 : port;
          const auto address = *model::parse_ip(text);
          const bool wanted = model::allows(egress ? rows.egress : rows.ingress, address, protocol, asked);
          INFO(fmt::format("policy {} {} {} protocol {} port {}", id, egress ? "to" : "from", text, protocol, asked));
          CHECK(subject.passes(id, {egress, address, protocol, asked}) == wanted);
        }
}

}  // namespace

void check_policy_tables(PolicySubject& subject) {
  const PolicyRows first = sample();
  PolicyRows second;
  second.ingress.classes = {{{kUdp, 9000, 9000}}};
  second.ingress.peers = {peer("11.0.0.0/8", 0)};

  CHECK(subject.tables().replace(0, first).error().code == Code::kInvalid);
  REQUIRE(subject.tables().replace(7, first));
  check_same(subject, 7, first);
  check_same(subject, 8, {});  // no rows: everything is refused

  // Sets do not mix, and a replaced one leaves nothing.
  REQUIRE(subject.tables().replace(8, second));
  check_same(subject, 8, second);
  check_same(subject, 7, first);
  REQUIRE(subject.tables().replace(7, second));
  check_same(subject, 7, second);

  // What does not fit changes nothing.
  PolicyRows huge;
  huge.egress.classes = {{{0, 0, 65535}}};
  for (uint32_t i = 0; i <= subject.room(); ++i)
    huge.egress.peers.push_back(peer(fmt::format("10.{}.{}.{}", i >> 16, i >> 8 & 255, i & 255).c_str(), 0));
  const auto full = subject.tables().replace(7, huge);
  REQUIRE(!full);
  CHECK(full.error().code == Code::kUnavailable);
  INFO(full.error().message());
  CHECK(full.error().message().find("policy rows ") != std::string::npos);
  CHECK(full.error().message().find(fmt::format("/{}", subject.room())) != std::string::npos);
  check_same(subject, 7, second);

  // A restart: in force as before, and replaced as before.
  subject.restart();
  check_same(subject, 7, second);
  check_same(subject, 8, second);
  REQUIRE(subject.tables().replace(7, first));
  check_same(subject, 7, first);

  REQUIRE(subject.tables().keep_only({7, 99}));
  check_same(subject, 7, first);
  check_same(subject, 8, {});
  REQUIRE(subject.tables().keep_only({}));
  check_same(subject, 7, {});
}

}  // namespace pintle::contract
