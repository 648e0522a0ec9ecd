// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// Sets of rows under ids that are the same after a restart: an id is a hash of what the set is for, not of what is in it, so programs that
// are pinned with it find their rows refreshed. Pushes what differs, and drops what no plan has named for a while. Not thread-safe.
#pragma once

#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>

#include "base/time.h"
#include "ports/policy_tables.h"

namespace pintle::policy {

// FNV-1a, folded. Part of what pins of earlier versions rely on: never changed.
[[nodiscard]] uint32_t stable_hash(std::string_view text);
using Hash = std::function<uint32_t(std::string_view)>;

class RowSets {
 public:
  // REQUIRES: `tables` outlives this.
  explicit RowSets(ports::PolicyTables& tables, Hash hash = stable_hash) : tables_(tables), hash_(std::move(hash)) {}

  // The id for this key, never 0. Two keys of one hash get different ids: the second one's is that of the key with a number. Which of
  // the two is second may differ after a restart; their pods then are attached anew, as by any change of plan.
  [[nodiscard]] uint32_t id_of(const std::string& key);
  // Makes `rows` the set's rows, unless they are. An Error leaves those in force that were; the next push tries again.
  [[nodiscard]] Status push(uint32_t id, const model::PolicyRows& rows);
  [[nodiscard]] bool in_force(uint32_t id) const;
  [[nodiscard]] const model::PolicyRows* rows(uint32_t id) const;  // in force; null: none
  // Drops all but `named`, and but those that were named within the last `kGrace`: a pod may still be on its way from one to another.
  [[nodiscard]] Status keep(const std::set<uint32_t>& named, SteadyTime now);
  static constexpr std::chrono::seconds kGrace{30};
  [[nodiscard]] uint64_t pushes() const { return pushes_; }

 private:
  struct Set {
    std::string key;
    model::PolicyRows rows;
    bool pushed = false;
    std::optional<SteadyTime> unnamed_since;
  };
  ports::PolicyTables& tables_;
  const Hash hash_;
  std::map<uint32_t, Set> sets_;
  std::map<std::string, uint32_t> ids_;
  bool swept_ = false;  // what an earlier run left has been dropped
  uint64_t pushes_ = 0;
};

}  // namespace pintle::policy
