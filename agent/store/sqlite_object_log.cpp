// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "store/sqlite_object_log.h"

#include <algorithm>

#include <fmt/format.h>

namespace pintle::store {
namespace {

constexpr Schema kSchema{1,
                         "CREATE TABLE object(resource TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, uid TEXT NOT NULL,"
                         " version INTEGER NOT NULL, json TEXT NOT NULL, sum INTEGER NOT NULL, PRIMARY KEY(resource, namespace, name));"
                         "CREATE TABLE counter(name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"};

int64_t sum_of(const ports::LoggedObject& object) {
  return checksum({object.key.resource, object.key.namespace_, object.key.name, object.uid,
                   fmt::format_int(object.resource_version).c_str(), object.json});
}

}  // namespace

Result<std::unique_ptr<SqliteObjectLog>> SqliteObjectLog::open(const std::string& path) {
  PINTLE_ASSIGN_OR_RETURN(auto database, Database::open(path, kSchema));
  PINTLE_ASSIGN_OR_RETURN(
      auto put,
      Statement::prepare(
          database,
          "INSERT OR REPLACE INTO object(resource, namespace, name, uid, version, json, sum) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)"));
  PINTLE_ASSIGN_OR_RETURN(auto erase,
                          Statement::prepare(database, "DELETE FROM object WHERE resource = ?1 AND namespace = ?2 AND name = ?3"));
  PINTLE_ASSIGN_OR_RETURN(auto reserve,
                          Statement::prepare(database, "INSERT OR REPLACE INTO counter(name, value) VALUES('versions_reserved', ?1)"));
  return std::unique_ptr<SqliteObjectLog>(new SqliteObjectLog(std::move(database), std::move(put), std::move(erase), std::move(reserve)));
}

SqliteObjectLog::SqliteObjectLog(Database database, Statement put, Statement erase, Statement reserve)
    : recovery_note_(database.recovery_note()),
      database_(std::move(database)),
      put_(std::move(put)),
      erase_(std::move(erase)),
      reserve_(std::move(reserve)) {}

Result<ports::LoggedObjects> SqliteObjectLog::load() {
  MutexLock lock(mu_);
  ports::LoggedObjects loaded;
  PINTLE_ASSIGN_OR_RETURN(auto counter, Statement::prepare(database_, "SELECT value FROM counter WHERE name = 'versions_reserved'"));
  PINTLE_ASSIGN_OR_RETURN(const bool counted, counter.step());
  if (counted) loaded.versions_reserved = counter.integer(0);
  PINTLE_ASSIGN_OR_RETURN(
      auto query, Statement::prepare(database_, "SELECT resource, namespace, name, uid, version, json, sum FROM object ORDER BY version"));
  while (true) {
    PINTLE_ASSIGN_OR_RETURN(const bool row, query.step());
    if (!row) break;
    ports::LoggedObject object{{query.text(0), query.text(1), query.text(2)}, query.text(3), query.integer(4), query.text(5)};
    if (query.integer(6) != sum_of(object)) {
      loaded.damaged.push_back(fmt::format("{} '{}/{}'", object.key.resource, object.key.namespace_, object.key.name));
      continue;
    }
    loaded.versions_reserved = std::max(loaded.versions_reserved, object.resource_version);
    loaded.objects.push_back(std::move(object));
  }
  return loaded;
}

Status SqliteObjectLog::put(const ports::LoggedObject& object, Durability durability) {
  MutexLock lock(mu_);
  PINTLE_TRY(database_.set_synced(durability == Durability::kSynced));
  put_.bind(1, object.key.resource);
  put_.bind(2, object.key.namespace_);
  put_.bind(3, object.key.name);
  put_.bind(4, object.uid);
  put_.bind(5, object.resource_version);
  put_.bind(6, object.json);
  put_.bind(7, sum_of(object));
  return put_.run();
}

Status SqliteObjectLog::erase(const ports::ObjectKey& key, Durability durability) {
  MutexLock lock(mu_);
  PINTLE_TRY(database_.set_synced(durability == Durability::kSynced));
  erase_.bind(1, key.resource);
  erase_.bind(2, key.namespace_);
  erase_.bind(3, key.name);
  return erase_.run();
}

Status SqliteObjectLog::reserve_versions(int64_t version) {
  MutexLock lock(mu_);
  PINTLE_TRY(database_.set_synced(true));  // a version handed out twice would make watchers miss a change
  reserve_.bind(1, version);
  return reserve_.run();
}

}  // namespace pintle::store
