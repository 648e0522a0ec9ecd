// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// The agent's small durable state in one SQLite file: records (kind, key) -> value with a checksum each. A value that is
// already there is not written again. Not the API objects' store: sqlite_object_log.h.
// Thread rule: any thread; calls are serialised. Errors as ports/state_store.h.
#pragma once

#include <memory>
#include <string>

#include "base/mutex.h"
#include "ports/state_store.h"
#include "store/database.h"

namespace pintle::store {

enum class Forgetting {
  kRecord,    // its bytes are overwritten when their place is used again
  kBytesToo,  // nor does the file, or what SQLite keeps beside it, hold any byte of it when erase() or a replacing put() returns
};

class SqliteStore final : public ports::StateStore {
 public:
  // kUnavailable, kUnsupported (the file is of a newer Pintle).
  [[nodiscard]] static Result<std::unique_ptr<SqliteStore>> open(const std::string& path, Forgetting forgetting = Forgetting::kRecord);

  [[nodiscard]] Status put(const std::string& kind, const std::string& key, const std::string& value) override;
  [[nodiscard]] Result<std::string> get(const std::string& kind, const std::string& key) override;
  [[nodiscard]] Status erase(const std::string& kind, const std::string& key) override;
  // A damaged record is left out (get() of it says kInvalid), so that one bad sector costs one record.
  [[nodiscard]] Result<std::vector<std::pair<std::string, std::string>>> list(const std::string& kind) override;

  // Empty, or what was found damaged on opening and where it lies now: for main to log.
  [[nodiscard]] const std::string& recovery_note() const { return recovery_note_; }

 private:
  SqliteStore(Database database, Forgetting forgetting, Statement put, Statement get, Statement erase, Statement list);
  [[nodiscard]] Result<std::string> get_locked(const std::string& kind, const std::string& key) PINTLE_REQUIRES(mu_);

  [[nodiscard]] Status wipe() PINTLE_REQUIRES(mu_);

  const std::string recovery_note_;
  const Forgetting forgetting_;
  Mutex mu_;
  Database database_ PINTLE_GUARDED_BY(mu_);  // outlives the statements
  Statement put_ PINTLE_GUARDED_BY(mu_), get_ PINTLE_GUARDED_BY(mu_), erase_ PINTLE_GUARDED_BY(mu_), list_ PINTLE_GUARDED_BY(mu_);
};

}  // namespace pintle::store
