// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The seam to the rows by which the programs decide where pods may talk. A set of rows has an id that pods share
// (ProgramPlan::network_policy) and that is stable over restarts of the agent. Replacing a set is atomic: every decision is by the whole
// old set or the whole new one (facts/ebpf 4.2). Thread rule: any thread.
// Errors: kUnsupported (no eBPF here), kUnavailable with "rows n/m" when a table is full: the old set then stays in force.
#pragma once

#include <set>

#include "base/result.h"
#include "model/policy_rows.h"

namespace pintle::ports {

class PolicyTables {
 public:
  virtual ~PolicyTables() = default;
  [[nodiscard]] virtual Status replace(uint32_t id, const model::PolicyRows& rows) = 0;
  // Drops the sets that are not among these. REQUIRES: no pod's plan names one that is dropped.
  [[nodiscard]] virtual Status keep_only(const std::set<uint32_t>& ids) = 0;
};

}  // namespace pintle::ports
