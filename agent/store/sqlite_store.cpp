// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "store/sqlite_store.h"

#include <fmt/format.h>

namespace pintle::store {
namespace {
constexpr Schema kSchema{1,
                         "CREATE TABLE record(kind TEXT NOT NULL, key TEXT NOT NULL, value TEXT NOT NULL, sum INTEGER NOT NULL, PRIMARY "
                         "KEY(kind, key)) WITHOUT ROWID;"};
}  // namespace

Result<std::unique_ptr<SqliteStore>> SqliteStore::open(const std::string& path, Forgetting forgetting) {
  PINTLE_ASSIGN_OR_RETURN(auto database, Database::open(path, kSchema));
  // What is kept here decides about restarts and probe results after a power cut, and is written rarely.
  PINTLE_TRY(database.set_synced(true));
  if (forgetting == Forgetting::kBytesToo) PINTLE_TRY(database.execute("PRAGMA secure_delete=ON"));
  PINTLE_ASSIGN_OR_RETURN(auto put,
                          Statement::prepare(database, "INSERT OR REPLACE INTO record(kind, key, value, sum) VALUES(?1, ?2, ?3, ?4)"));
  PINTLE_ASSIGN_OR_RETURN(auto get, Statement::prepare(database, "SELECT value, sum FROM record WHERE kind = ?1 AND key = ?2"));
  PINTLE_ASSIGN_OR_RETURN(auto erase, Statement::prepare(database, "DELETE FROM record WHERE kind = ?1 AND key = ?2"));
  PINTLE_ASSIGN_OR_RETURN(auto list, Statement::prepare(database, "SELECT key, value, sum FROM record WHERE kind = ?1 ORDER BY key"));
  return std::unique_ptr<SqliteStore>(
      new SqliteStore(std::move(database), forgetting, std::move(put), std::move(get), std::move(erase), std::move(list)));
}

SqliteStore::SqliteStore(Database database, Forgetting forgetting, Statement put, Statement get, Statement erase, Statement list)
    : recovery_note_(database.recovery_note()),
      forgetting_(forgetting),
      database_(std::move(database)),
      put_(std::move(put)),
      get_(std::move(get)),
      erase_(std::move(erase)),
      list_(std::move(list)) {}

Status SqliteStore::put(const std::string& kind, const std::string& key, const std::string& value) {
  MutexLock lock(mu_);
  const auto known = get_locked(kind, key);
  if (known && *known == value) return {};
  put_.bind(1, kind);
  put_.bind(2, key);
  put_.bind(3, value);
  put_.bind(4, checksum({kind, key, value}));
  PINTLE_TRY(put_.run());
  return known || known.error().code != Code::kNotFound ? wipe() : Status();
}

Result<std::string> SqliteStore::get(const std::string& kind, const std::string& key) {
  MutexLock lock(mu_);
  return get_locked(kind, key);
}

Result<std::string> SqliteStore::get_locked(const std::string& kind, const std::string& key) {
  get_.bind(1, kind);
  get_.bind(2, key);
  PINTLE_ASSIGN_OR_RETURN(const bool row, get_.step());
  std::string value = row ? get_.text(0) : std::string();
  const int64_t sum = row ? get_.integer(1) : 0;
  get_.reset();
  if (!row) return fail(Code::kNotFound, fmt::format("no record '{}/{}'", kind, key));
  if (sum != checksum({kind, key, value})) return fail(Code::kInvalid, fmt::format("record '{}/{}' fails its checksum", kind, key));
  return value;
}

Status SqliteStore::erase(const std::string& kind, const std::string& key) {
  MutexLock lock(mu_);
  erase_.bind(1, kind);
  erase_.bind(2, key);
  PINTLE_TRY(erase_.run());
  return wipe();
}

// The log of changes still has what pages held before. Another reader of the file delays this to the next time.
Status SqliteStore::wipe() {
  return forgetting_ == Forgetting::kBytesToo ? database_.execute("PRAGMA wal_checkpoint(TRUNCATE)") : Status();
}

Result<std::vector<std::pair<std::string, std::string>>> SqliteStore::list(const std::string& kind) {
  MutexLock lock(mu_);
  std::vector<std::pair<std::string, std::string>> records;
  list_.bind(1, kind);
  while (true) {
    PINTLE_ASSIGN_OR_RETURN(const bool row, list_.step());
    if (!row) break;
    std::string key = list_.text(0), value = list_.text(1);
    if (list_.integer(2) == checksum({kind, key, value})) records.emplace_back(std::move(key), std::move(value));
  }
  list_.reset();
  return records;
}

}  // namespace pintle::store
