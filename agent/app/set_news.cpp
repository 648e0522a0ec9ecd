// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "app/set_news.h"

#include <fmt/format.h>

namespace pintle::app {

SetNews news_of(const model::ProgramSetStatus& set) {
  using Attempt = model::ProgramSetStatus::Attempt;
  SetNews out{.in_force = fmt::format("program set '{}' (version {}) is in force", set.name, set.version),
              .text = {},
              .reason = {},
              .problems = {}};
  out.text = out.in_force;
  out.reason = set.leftovers.empty() ? "ProgramSetInForce" : "ProgramSetLeftovers";
  const auto add = [&](const std::string& name, const std::string& error) {
    auto& told = out.problems[name];
    told += told.empty() ? error : "; " + error;
  };
  if (set.attempt != Attempt::kNone) {
    const std::string failed = fmt::format("was {}: {}", to_string(set.attempt), set.error);
    add(set.wanted, failed);
    out.text = fmt::format("program set '{}' {}; {}", set.wanted, failed, out.in_force);
    out.reason = set.attempt == Attempt::kRolledBack ? "ProgramSetRolledBack" : "ProgramSetRefused";
  }
  for (const auto& leftover : set.leftovers) {
    add(set.name, leftover.error);
    out.text += "; " + leftover.error;
  }
  return out;
}

}  // namespace pintle::app
