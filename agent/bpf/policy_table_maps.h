// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// ports::PolicyTables over the programs' maps. A replacement is: rows of a new epoch, one store to policy_state, old rows deleted; what a
// crash left half made is swept away by the next run, which goes on with the pinned sets. Epochs are never given twice, so that
// verdicts cached with sockets can't be taken for those of another set. Thread rule: any.
#pragma once

#include <map>
#include <optional>

#include "base/mutex.h"
#include "bpf/cgroup_programs.h"
#include "bpf/policy_encode.h"
#include "ports/policy_tables.h"

namespace pintle::bpf {

class PolicyTableMaps final : public ports::PolicyTables {
 public:
  // Every call is refused with it.
  explicit PolicyTableMaps(Error unsupported) : unsupported_(std::move(unsupported)) {}
  // Reads back what is pinned. REQUIRES: `programs` outlives this.
  PolicyTableMaps(const CgroupPrograms& programs, const MapSizes& sizes);

  [[nodiscard]] Status replace(uint32_t id, const model::PolicyRows& rows) override;
  [[nodiscard]] Status keep_only(const std::set<uint32_t>& ids) override;
  [[nodiscard]] std::set<uint32_t> ids() const;

 private:
  struct Held {  // keys of the set in force, to be deleted
    uint32_t epoch = 0;
    std::vector<pintle_address_key> addresses;
    std::vector<pintle_prefix_key> prefixes;
    std::vector<pintle_port_key> ports;
  };
  struct Maps {
    int state, addresses, prefixes, ports;
  };
  void read_back() PINTLE_REQUIRES(mu_);
  [[nodiscard]] Result<uint32_t> next_epoch() PINTLE_REQUIRES(mu_);
  [[nodiscard]] Status check_room(uint32_t id, const PolicyMapRows& rows) const PINTLE_REQUIRES(mu_);
  [[nodiscard]] Status insert(const PolicyMapRows& rows) const;
  [[nodiscard]] Status store_state(uint32_t id, const pintle_policy_state& state) const;
  void remove(const Held& held) const;

  const std::optional<Error> unsupported_;
  const Maps maps_{};
  const uint32_t max_rows_ = 0, max_sets_ = 0;
  mutable Mutex mu_;
  std::map<uint32_t, Held> sets_ PINTLE_GUARDED_BY(mu_);
  uint32_t last_epoch_ PINTLE_GUARDED_BY(mu_) = 0;
};

}  // namespace pintle::bpf
