// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The arithmetic behind compile(): grants "this prefix, without those, on these ports" become rows of unlike prefixes and classes.
// Internal to policy. Plain values.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <unordered_map>
#include <vector>

#include "model/policy_rows.h"

namespace pintle::policy {

using Ports = std::vector<model::PortRange>;  // sorted, without overlaps

// Sorted and merged; "every protocol" swallows all.
[[nodiscard]] Ports normalized(Ports ports);

class Grants {
 public:
  void allow(const model::IpPrefix& prefix, std::span<const model::IpPrefix> except, const Ports& ports);
  void allow(const model::IpAddress& address, const Ports& ports) { allow({address, 128}, {}, ports); }
  [[nodiscard]] model::PolicyDirection rows() const;

 private:
  [[nodiscard]] uint32_t number_of(const Ports& ports);

  struct Mark {  // a grant begins or ends to hold within a prefix
    model::IpPrefix prefix;
    uint32_t grant = 0;
    bool taken_back = false;
    auto operator<=>(const Mark&) const = default;
  };
  std::vector<Mark> marks_;
  std::vector<uint32_t> ports_of_;      // by grant
  std::vector<Ports> ports_;            // unlike each other
  std::map<Ports, uint32_t> number_;    // their place in ports_
  std::map<uint32_t, uint32_t> plain_;  // the one grant without exceptions on these ports
};

// Finds the class of an address quickly in rows that many addresses are looked up in.
class RowIndex {
 public:
  explicit RowIndex(const model::PolicyDirection& direction);  // REQUIRES: outlives this
  [[nodiscard]] bool allows(const model::IpAddress& address, uint8_t protocol, uint16_t port) const;

 private:
  struct Hash {
    size_t operator()(const model::IpPrefix& prefix) const;
  };
  const model::PolicyDirection& direction_;
  std::vector<uint8_t> lengths_;  // longest first
  std::unordered_map<model::IpPrefix, uint32_t, Hash> class_of_;
};

}  // namespace pintle::policy
