// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The kernel's tables as memory: keeps the sets, a log of calls, and refuses on demand. Like the real ones it has room for so many rows.
// Thread rule: any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/mutex.h"
#include "ports/policy_tables.h"

namespace pintle::fakes {

class FakePolicyTables final : public ports::PolicyTables {
 public:
  Status replace(uint32_t id, const model::PolicyRows& rows) override {
    const MutexLock lock(mu_);
    calls_.push_back(fmt::format("replace {}", id));
    if (fail_next_) return std::unexpected(*std::exchange(fail_next_, std::nullopt));
    size_t others = 0;
    for (const auto& [other, set] : sets_)
      if (other != id) others += size_of(set);
    if (others + size_of(rows) > room_) return fail(Code::kUnavailable, fmt::format("rows {}/{}", others + size_of(rows), room_));
    sets_[id] = rows;
    return {};
  }
  Status keep_only(const std::set<uint32_t>& ids) override {
    const MutexLock lock(mu_);
    calls_.push_back(fmt::format("keep {}", ids.size()));
    std::erase_if(sets_, [&](const auto& set) { return !ids.contains(set.first); });
    return {};
  }

  void put(uint32_t id, const model::PolicyRows& rows) {  // as an earlier run left it
    const MutexLock lock(mu_);
    sets_[id] = rows;
  }
  void set_room(size_t rows) {
    const MutexLock lock(mu_);
    room_ = rows;
  }
  void fail_next(Error error) {
    const MutexLock lock(mu_);
    fail_next_ = std::move(error);
  }
  [[nodiscard]] std::map<uint32_t, model::PolicyRows> sets() {
    const MutexLock lock(mu_);
    return sets_;
  }
  [[nodiscard]] std::vector<std::string> take_calls() {
    const MutexLock lock(mu_);
    return std::exchange(calls_, {});
  }

 private:
  static size_t size_of(const model::PolicyRows& rows) { return rows.ingress.peers.size() + rows.egress.peers.size(); }

  Mutex mu_;
  std::map<uint32_t, model::PolicyRows> sets_ PINTLE_GUARDED_BY(mu_);
  std::vector<std::string> calls_ PINTLE_GUARDED_BY(mu_);
  std::optional<Error> fail_next_ PINTLE_GUARDED_BY(mu_);
  size_t room_ PINTLE_GUARDED_BY(mu_) = 100000;
};

}  // namespace pintle::fakes
