// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "bpf/policy_encode.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include <arpa/inet.h>

#include <fmt/format.h>

#include "lib/event_abi.h"

namespace pintle::bpf {
namespace {

// The fewest blocks of a power of two that are the range.
void add_port_blocks(const model::PortRange& range, uint32_t set, uint32_t number, PolicyMapRows& out) {
  uint32_t first = range.first;
  const uint32_t end = range.last + 1U;
  while (first < end) {
    uint32_t bits = first == 0 ? 16 : static_cast<uint32_t>(std::countr_zero(first));
    while ((1U << bits) > end - first) --bits;
    out.ports.push_back({PINTLE_PORT_BITS + 16 - bits, set, number, range.protocol, 0, htons(static_cast<uint16_t>(first))});
    out.port_values.push_back(1);
    first += 1U << bits;
  }
}

// No range, no row: refused.
void add_class(const std::vector<model::PortRange>& ranges, uint32_t set, uint32_t number, PolicyMapRows& out) {
  if (std::ranges::any_of(ranges, [](const auto& range) { return range.protocol == 0; })) {
    out.ports.push_back({PINTLE_CLASS_BITS, set, number, 0, 0, 0});  // every protocol, also those without ports
    out.port_values.push_back(1);
    return;
  }
  for (const auto& range : ranges)
    if (range.first <= range.last) add_port_blocks(range, set, number, out);
}

Status add_direction(const model::PolicyDirection& direction, pintle_direction which, uint32_t epoch, PolicyMapRows& out) {
  const uint32_t set = PINTLE_SET_OF(epoch, static_cast<uint32_t>(which));
  for (uint32_t i = 0; i < direction.classes.size(); ++i) add_class(direction.classes[i], set, i, out);
  for (const auto& peer : direction.peers) {
    if (peer.class_index >= direction.classes.size())
      return fail(Code::kInvalid,
                  fmt::format("peer '{}' names class {} of {}", model::to_string(peer.prefix), peer.class_index, direction.classes.size()));
    if (peer.prefix.length == 128) {
      pintle_address_key key{};
      key.set = set;
      std::memcpy(key.address, peer.prefix.address.bytes.data(), sizeof key.address);
      out.addresses.push_back(key);
      out.address_classes.push_back(peer.class_index);
      out.flags |= static_cast<uint32_t>(PINTLE_HAS_ADDRESSES) << which;
    } else {
      pintle_prefix_key key{};
      key.length = PINTLE_SET_BITS + peer.prefix.length;
      key.set = set;
      std::memcpy(key.address, peer.prefix.address.bytes.data(), sizeof key.address);
      out.prefixes.push_back(key);
      out.prefix_classes.push_back(peer.class_index);
      out.flags |= static_cast<uint32_t>(PINTLE_HAS_PREFIXES) << which;
    }
  }
  return {};
}

}  // namespace

Result<PolicyMapRows> encode(const model::PolicyRows& rows, uint32_t epoch) {
  PolicyMapRows out;
  PINTLE_TRY(add_direction(rows.ingress, PINTLE_INGRESS, epoch, out));
  PINTLE_TRY(add_direction(rows.egress, PINTLE_EGRESS, epoch, out));
  return out;
}

}  // namespace pintle::bpf
