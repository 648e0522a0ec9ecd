// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Network policy as the programs look it up, compiled: in each direction the longest matching prefix names the class of the other end,
// and the class lists the ports that are open to it. A longer prefix's class already holds what shorter ones around it allow.
// Plain values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace pintle::model {

// IPv4 as ::ffff:a.b.c.d, so an IPv4 prefix of n bits is one of 96 + n.
struct IpAddress {
  std::array<uint8_t, 16> bytes{};
  auto operator<=>(const IpAddress&) const = default;
  [[nodiscard]] bool is_v4() const;
};
[[nodiscard]] std::optional<IpAddress> parse_ip(std::string_view text);
[[nodiscard]] std::string to_string(const IpAddress& address);

struct IpPrefix {
  IpAddress address;  // bits behind `length` are zero
  uint8_t length = 128;
  auto operator<=>(const IpPrefix&) const = default;
  [[nodiscard]] bool contains(const IpAddress& other) const;
  [[nodiscard]] bool contains(const IpPrefix& other) const;
};
// "10.0.0.0/8", "2001:db8::/32", or a bare address. nullopt when it is none; bits behind the length are cleared.
[[nodiscard]] std::optional<IpPrefix> parse_prefix(std::string_view text);
[[nodiscard]] std::string to_string(const IpPrefix& prefix);

struct PortRange {
  uint8_t protocol = 0;  // IPPROTO_*; 0: every protocol, also those without ports
  uint16_t first = 0, last = 65535;
  auto operator<=>(const PortRange&) const = default;
};

struct PolicyDirection {
  std::vector<std::vector<PortRange>> classes;  // sorted, without overlaps
  struct Peer {
    IpPrefix prefix;
    uint32_t class_index = 0;
    auto operator<=>(const Peer&) const = default;
  };
  std::vector<Peer> peers;  // what no prefix contains is refused; an empty class refuses too (an `except`)
  bool operator==(const PolicyDirection&) const = default;
};

struct PolicyRows {
  PolicyDirection ingress, egress;
  bool operator==(const PolicyRows&) const = default;
};

// What the programs would say: for tests, `policy test` and to explain. `port` is the pod's own (ingress) or the other end's (egress).
[[nodiscard]] bool allows(const PolicyDirection& direction, const IpAddress& peer, uint8_t protocol, uint16_t port);

}  // namespace pintle::model
