// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// ports::ObjectLog in memory, with a call log and faults. It outlives the store above it, so a restart is a new store over
// the same log. Thread rule: any thread.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "ports/object_log.h"

namespace pintle::fakes {

class FakeObjectLog final : public ports::ObjectLog {
 public:
  [[nodiscard]] Result<ports::LoggedObjects> load() override;
  [[nodiscard]] Status put(const ports::LoggedObject& object, Durability durability) override;
  [[nodiscard]] Status erase(const ports::ObjectKey& key, Durability durability) override;
  [[nodiscard]] Status reserve_versions(int64_t version) override;

  // The next `count` writes fail as a full disk would.
  void fail_writes(int count);
  // "put pods default/web synced", in order.
  [[nodiscard]] std::vector<std::string> writes() const;

 private:
  [[nodiscard]] Status take_fault() PINTLE_REQUIRES(mu_);

  mutable Mutex mu_;
  std::map<ports::ObjectKey, ports::LoggedObject> objects_ PINTLE_GUARDED_BY(mu_);
  int64_t reserved_ PINTLE_GUARDED_BY(mu_) = 0;
  int failing_ PINTLE_GUARDED_BY(mu_) = 0;
  std::vector<std::string> writes_ PINTLE_GUARDED_BY(mu_);
};

}  // namespace pintle::fakes
