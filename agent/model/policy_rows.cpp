// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "model/policy_rows.h"

#include <algorithm>
#include <charconv>

#include <arpa/inet.h>

#include <fmt/format.h>

namespace pintle::model {
namespace {

constexpr uint8_t kV4Bits = 96;
constexpr std::array<uint8_t, 12> kV4Head{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool same_bits(const IpAddress& a, const IpAddress& b, unsigned bits) {
  const unsigned whole = bits / 8, rest = bits % 8;
  if (!std::equal(a.bytes.begin(), a.bytes.begin() + whole, b.bytes.begin())) return false;
  return rest == 0 || ((a.bytes[whole] ^ b.bytes[whole]) >> (8 - rest)) == 0;
}

IpAddress masked(IpAddress address, unsigned bits) {
  for (unsigned i = 0; i < address.bytes.size(); ++i) {
    const unsigned kept = bits <= i * 8 ? 0 : std::min(8U, bits - i * 8);
    address.bytes[i] &= static_cast<uint8_t>(0xff00U >> kept);
  }
  return address;
}

}  // namespace

bool IpAddress::is_v4() const { return std::equal(kV4Head.begin(), kV4Head.end(), bytes.begin()); }

std::optional<IpAddress> parse_ip(std::string_view text) {
  const std::string copy(text);  // inet_pton wants a terminated string
  IpAddress address;
  if (::inet_pton(AF_INET6, copy.c_str(), address.bytes.data()) == 1) return address;
  std::copy(kV4Head.begin(), kV4Head.end(), address.bytes.begin());
  if (::inet_pton(AF_INET, copy.c_str(), address.bytes.data() + kV4Head.size()) == 1) return address;
  return std::nullopt;
}

std::string to_string(const IpAddress& address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (!address.is_v4()) {
    (void)::inet_ntop(AF_INET6, address.bytes.data(), text, sizeof(text));  // ignoring: it fails for want of room alone
    return text;
  }
  char* end = text;  // for each event: inet_ntop() goes through printf
  for (size_t i = kV4Head.size(); i < address.bytes.size(); ++i) {
    if (end != text) *end++ = '.';
    end = std::to_chars(end, std::end(text), address.bytes[i]).ptr;
  }
  return {text, end};
}

bool IpPrefix::contains(const IpAddress& other) const { return same_bits(address, other, length); }

bool IpPrefix::contains(const IpPrefix& other) const { return length <= other.length && same_bits(address, other.address, length); }

std::optional<IpPrefix> parse_prefix(std::string_view text) {
  const auto slash = text.find('/');
  const auto address = parse_ip(text.substr(0, slash));
  if (!address) return std::nullopt;
  const bool v4 = address->is_v4() && text.find(':') == std::string_view::npos;
  unsigned bits = v4 ? 32 : 128;
  if (slash != std::string_view::npos) {
    const auto tail = text.substr(slash + 1);
    unsigned told = 0;
    const auto [end, error] = std::from_chars(tail.data(), tail.data() + tail.size(), told);
    if (error != std::errc{} || end != tail.data() + tail.size() || told > bits) return std::nullopt;
    bits = told;
  }
  if (v4) bits += kV4Bits;
  return IpPrefix{masked(*address, bits), static_cast<uint8_t>(bits)};
}

std::string to_string(const IpPrefix& prefix) {
  const bool v4 = prefix.address.is_v4() && prefix.length >= kV4Bits;
  const unsigned bits = v4 ? prefix.length - kV4Bits : prefix.length;
  if (bits == (v4 ? 32U : 128U)) return to_string(prefix.address);
  return fmt::format("{}/{}", to_string(prefix.address), bits);
}

bool allows(const PolicyDirection& direction, const IpAddress& peer, uint8_t protocol, uint16_t port) {
  const PolicyDirection::Peer* best = nullptr;
  for (const auto& row : direction.peers)
    if (row.prefix.contains(peer) && (best == nullptr || row.prefix.length > best->prefix.length)) best = &row;
  if (best == nullptr) return false;
  return std::ranges::any_of(direction.classes[best->class_index], [&](const PortRange& range) {
    return range.protocol == 0 || (range.protocol == protocol && range.first <= port && port <= range.last);
  });
}

}  // namespace pintle::model
