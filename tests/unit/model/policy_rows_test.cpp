// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_test_macros.hpp>

#include "model/policy_rows.h"

namespace pintle::model {
namespace {

IpAddress ip(std::string_view text) { return *parse_ip(text); }

}  // namespace

TEST_CASE("addresses are read and written, IPv4 within IPv6") {
  CHECK(to_string(ip("10.1.2.3")) == "10.1.2.3");
  CHECK(to_string(ip("2001:db8::1")) == "2001:db8::1");
  CHECK(ip("10.1.2.3").is_v4());
  CHECK_FALSE(ip("fd00::1").is_v4());
  CHECK(ip("::ffff:10.1.2.3") == ip("10.1.2.3"));
  for (const char* bad : {"", "10.1.2", "10.1.2.300", "2001:db8::g", "10.0.0.0/8", "web"}) CHECK_FALSE(parse_ip(bad));
}

TEST_CASE("prefixes are read, cut to their length and written back") {
  struct Row {
    const char *text, *written;
    int length;
  };
  for (const auto& row : {Row{"10.1.2.3/8", "10.0.0.0/8", 104}, Row{"10.1.2.3", "10.1.2.3", 128}, Row{"0.0.0.0/0", "0.0.0.0/0", 96},
                          Row{"2001:db8::1/32", "2001:db8::/32", 32}, Row{"::/0", "::/0", 0}, Row{"10.1.2.255/25", "10.1.2.128/25", 121},
                          Row{"192.168.255.255/17", "192.168.128.0/17", 113}}) {
    INFO(row.text);
    const auto prefix = parse_prefix(row.text);
    REQUIRE(prefix);
    CHECK(prefix->length == row.length);
    CHECK(to_string(*prefix) == row.written);
    CHECK(parse_prefix(to_string(*prefix)) == prefix);
  }
  for (const char* bad : {"10.0.0.0/33", "::/129", "10.0.0.0/", "10.0.0.0/x", "10.0.0.0/8 ", "10.0.0.0/-1", "/8"})
    CHECK_FALSE(parse_prefix(bad));
}

TEST_CASE("a prefix contains addresses and narrower prefixes") {
  const auto ten = *parse_prefix("10.0.0.0/8"), narrow = *parse_prefix("10.1.0.0/17"), all = *parse_prefix("0.0.0.0/0");
  CHECK(ten.contains(ip("10.255.0.1")));
  CHECK_FALSE(ten.contains(ip("11.0.0.1")));
  CHECK_FALSE(all.contains(ip("fd00::1")));
  CHECK(ten.contains(narrow));
  CHECK(ten.contains(ten));
  CHECK_FALSE(narrow.contains(ten));
  CHECK(narrow.contains(ip("10.1.127.255")));
  CHECK_FALSE(narrow.contains(ip("10.1.128.0")));
}

TEST_CASE("the longest prefix decides, with the ports of its class alone") {
  PolicyDirection direction;
  direction.classes = {{{6, 80, 90}, {17, 53, 53}}, {}, {PortRange{}}};
  direction.peers = {{*parse_prefix("10.0.0.0/8"), 0}, {*parse_prefix("10.1.0.0/16"), 1}, {*parse_prefix("10.1.2.3"), 2}};
  struct Row {
    const char* peer;
    uint8_t protocol;
    uint16_t port;
    bool allowed;
  };
  for (const auto& row :
       {Row{"10.2.0.1", 6, 80, true}, Row{"10.2.0.1", 6, 90, true}, Row{"10.2.0.1", 6, 91, false}, Row{"10.2.0.1", 17, 53, true},
        Row{"10.2.0.1", 17, 80, false}, Row{"10.2.0.1", 1, 0, false}, Row{"10.1.0.1", 6, 80, false}, Row{"10.1.2.3", 6, 1, true},
        Row{"10.1.2.3", 1, 0, true}, Row{"11.0.0.1", 6, 80, false}, Row{"fd00::1", 6, 80, false}}) {
    INFO(row.peer << " " << int{row.protocol} << " " << row.port);
    CHECK(allows(direction, ip(row.peer), row.protocol, row.port) == row.allowed);
  }
  CHECK_FALSE(allows({}, ip("10.0.0.1"), 6, 80));
}

}  // namespace pintle::model
