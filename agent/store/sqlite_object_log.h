// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// ports::ObjectLog in one SQLite file: the objects of the embedded API endpoint and the version counter.
// Thread rule: any thread; calls are serialised. Errors as ports/object_log.h.
#pragma once

#include <memory>
#include <string>

#include "base/mutex.h"
#include "ports/object_log.h"
#include "store/database.h"

namespace pintle::store {

class SqliteObjectLog final : public ports::ObjectLog {
 public:
  [[nodiscard]] static Result<std::unique_ptr<SqliteObjectLog>> open(const std::string& path);

  [[nodiscard]] Result<ports::LoggedObjects> load() override;
  [[nodiscard]] Status put(const ports::LoggedObject& object, Durability durability) override;
  [[nodiscard]] Status erase(const ports::ObjectKey& key, Durability durability) override;
  [[nodiscard]] Status reserve_versions(int64_t version) override;

  // Empty, or what was found damaged on opening and where it lies now: for main to log.
  [[nodiscard]] const std::string& recovery_note() const { return recovery_note_; }

 private:
  SqliteObjectLog(Database database, Statement put, Statement erase, Statement reserve);

  const std::string recovery_note_;
  Mutex mu_;
  Database database_ PINTLE_GUARDED_BY(mu_);
  Statement put_ PINTLE_GUARDED_BY(mu_), erase_ PINTLE_GUARDED_BY(mu_), reserve_ PINTLE_GUARDED_BY(mu_);
};

}  // namespace pintle::store
