// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What every PolicyTables does. The subject says what the rows in force answer: the kernel's by running a program on a packet.
#pragma once

#include "ports/policy_tables.h"

namespace pintle::contract {

class PolicySubject {
 public:
  virtual ~PolicySubject() = default;
  [[nodiscard]] virtual ports::PolicyTables& tables() = 0;
  virtual void restart() = 0;                       // a new agent over the same rows
  [[nodiscard]] virtual uint32_t room() const = 0;  // rows that fit
  struct Packet {
    bool egress = false;
    model::IpAddress peer;
    uint8_t protocol = 17;
    uint16_t port = 0;
  };
  [[nodiscard]] virtual bool passes(uint32_t id, const Packet& packet) = 0;
};

void check_policy_tables(PolicySubject& subject);

}  // namespace pintle::contract
