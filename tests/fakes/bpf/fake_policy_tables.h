// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Policy rows in memory, that outlive an agent restarted on them; tells what they would say. Held to the same contract suite as
// bpf::PolicyTableMaps. No thread, no clock.
#pragma once

#include <map>
#include <optional>

#include "fakes/fault_plan.h"
#include "ports/policy_tables.h"

namespace pintle::fakes {

class FakePolicyTables final : public ports::PolicyTables {
 public:
  FaultPlan faults;           // replace, keep_only
  size_t max_rows = 1 << 14;  // peers of all sets together, old and new of the one replaced

  Status replace(uint32_t id, const model::PolicyRows& rows) override {
    if (auto error = faults.next("replace", std::to_string(id))) return std::unexpected(*error);
    if (id == 0) return fail(Code::kInvalid, "policy 0 is no policy");
    for (const auto* direction : {&rows.ingress, &rows.egress})
      for (const auto& peer : direction->peers)
        if (peer.class_index >= direction->classes.size()) return fail(Code::kInvalid, "a peer names a class that is not there");
    size_t count = peers_in(rows);
    for (const auto& [other, held] : sets_) count += peers_in(held);
    if (count > max_rows)
      return fail(Code::kUnavailable, "policy rows " + std::to_string(count) + "/" + std::to_string(max_rows) + ": the set before stays");
    sets_[id] = rows;
    return {};
  }
  Status keep_only(const std::set<uint32_t>& ids) override {
    if (auto error = faults.next("keep_only")) return std::unexpected(*error);
    std::erase_if(sets_, [&](const auto& set) { return !ids.contains(set.first); });
    return {};
  }

  [[nodiscard]] std::optional<model::PolicyRows> rows_of(uint32_t id) const {
    const auto found = sets_.find(id);
    return found == sets_.end() ? std::nullopt : std::optional(found->second);
  }
  [[nodiscard]] size_t size() const { return sets_.size(); }

 private:
  static size_t peers_in(const model::PolicyRows& rows) { return rows.ingress.peers.size() + rows.egress.peers.size(); }
  std::map<uint32_t, model::PolicyRows> sets_;
};

}  // namespace pintle::fakes
