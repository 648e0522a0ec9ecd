// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// What is told of the node's program set when something changed: in which words, to the log, as event, as problem. A set that was refused
// is no part of the daemon that fails: pods have the set before. Pure functions.
#pragma once

#include <map>
#include <string>

#include "model/ebpf.h"

namespace pintle::app {

struct SetNews {
  std::string in_force;                         // "program set 'next' (version 2) is in force"
  std::string text;                             // that, and what is amiss
  std::string reason;                           // of the event: ProgramSetInForce, ProgramSetRefused …
  std::map<std::string, std::string> problems;  // of a set, by its name
  [[nodiscard]] bool good() const { return problems.empty(); }
};
[[nodiscard]] SetNews news_of(const model::ProgramSetStatus& set);

}  // namespace pintle::app
