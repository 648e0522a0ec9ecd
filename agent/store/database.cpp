// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include "store/database.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

#include <fmt/format.h>
#include <sqlite3.h>

namespace pintle::store {
namespace {

// The one place where SQLite's codes become ours.
Error to_error(sqlite3* handle, std::string_view doing) {
  const int code = handle != nullptr ? sqlite3_errcode(handle) : SQLITE_NOMEM;
  const char* text = handle != nullptr ? sqlite3_errmsg(handle) : "out of memory";
  Code ours = Code::kInternal;
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
    case SQLITE_IOERR:
    case SQLITE_FULL:
    case SQLITE_CANTOPEN:
    case SQLITE_READONLY:
    case SQLITE_NOMEM: ours = Code::kUnavailable; break;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: ours = Code::kInvalid; break;
    default: break;
  }
  const int err = handle != nullptr ? sqlite3_system_errno(handle) : 0;
  return Error{ours, ours == Code::kUnavailable ? err : 0, fmt::format("{}: {}", doing, text)};
}

bool exists(const std::string& path) {
  struct stat info{};
  return ::lstat(path.c_str(), &info) == 0;
}

Result<std::string> move_aside(const std::string& path) {
  for (int i = 1; i < 1000; ++i) {
    const std::string target = fmt::format("{}.damaged.{}", path, i);
    if (exists(target)) continue;
    if (::rename(path.c_str(), target.c_str()) != 0) return fail_errno(errno, fmt::format("move damaged '{}' aside", path));
    for (const std::string suffix : {"-wal", "-shm"})  // often absent; left behind they would be taken for the new file's
      if (::rename((path + suffix).c_str(), (target + suffix).c_str()) != 0 && errno != ENOENT)
        return fail_errno(errno, fmt::format("move damaged '{}{}' aside", path, suffix));
    return target;
  }
  return fail(Code::kUnavailable, fmt::format("move damaged '{}' aside: too many damaged files lie there already; delete them", path));
}

}  // namespace

void Database::Closer::operator()(sqlite3* handle) const { (void)sqlite3_close_v2(handle); }  // nothing can be done about a failing close

Result<Database> Database::open(const std::string& path, const Schema& schema) {
  bool damaged = false;
  auto first = open_checked(path, schema, damaged);
  if (first || !damaged) return first;
  const std::string why = first.error().message();
  PINTLE_ASSIGN_OR_RETURN(const std::string target, move_aside(path));
  PINTLE_ASSIGN_OR_RETURN(auto fresh, open_checked(path, schema, damaged));
  fresh.recovery_note_ = fmt::format("'{}' is damaged ({}); it was moved to '{}' and a new one begun", path, why, target);
  return fresh;
}

Result<Database> Database::open_checked(const std::string& path, const Schema& schema, bool& damaged) {
  // Before SQLite is first used: pages of the cache come one by one, not 88 KiB of them at once.
  [[maybe_unused]] static const int kConfigured = sqlite3_config(SQLITE_CONFIG_PAGECACHE, nullptr, 0, 0);
  Database database;
  database.path_ = path;
  sqlite3* raw = nullptr;
  const int opened = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  database.handle_.reset(raw);
  if (opened != SQLITE_OK) return std::unexpected(database.error("open"));
  // Secrets lie here; SQLite makes -wal and -shm with the same mode.
  if (::chmod(path.c_str(), 0600) != 0) return fail_errno(errno, fmt::format("keep '{}' from others (mode 0600)", path));
  (void)sqlite3_busy_timeout(raw, 5000);

  const auto note_damage = [&](const Error& error) { damaged = error.code == Code::kInvalid; };
  // 64 KiB of page cache, and a WAL that is folded back before it grows beyond 1 MiB.
  const auto configured = database.execute(
      "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA cache_size=-64; PRAGMA wal_autocheckpoint=256; PRAGMA "
      "temp_store=MEMORY;");
  if (!configured) {
    note_damage(configured.error());
    return std::unexpected(configured.error());
  }
  int64_t version = 0;
  {
    PINTLE_ASSIGN_OR_RETURN(auto check, Statement::prepare(database, "PRAGMA quick_check(1)"));
    const auto row = check.step();
    if (!row) {
      note_damage(row.error());
      return std::unexpected(row.error());
    }
    if (const std::string verdict = check.text(0); verdict != "ok") {
      damaged = true;
      return fail(Code::kInvalid, fmt::format("check '{}': {}", path, verdict));
    }
    PINTLE_ASSIGN_OR_RETURN(auto ask, Statement::prepare(database, "PRAGMA user_version"));
    PINTLE_TRY(ask.step());
    version = ask.integer(0);
  }
  if (version > schema.version)
    return fail(Code::kUnsupported, fmt::format("'{}' has schema {} and this Pintle knows {}: use the newer Pintle, or move the file away",
                                                path, version, schema.version));
  if (version < schema.version)
    PINTLE_TRY(database.execute(fmt::format("BEGIN; {} PRAGMA user_version={}; COMMIT;", schema.sql, schema.version).c_str()));
  return database;
}

Status Database::execute(const char* sql) {
  if (sqlite3_exec(handle_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK) return std::unexpected(error("write to"));
  return {};
}

Status Database::set_synced(bool synced) {
  if (synced == synced_) return {};
  PINTLE_TRY(execute(synced ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL"));
  synced_ = synced;
  return {};
}

Error Database::error(std::string_view doing) const { return to_error(handle_.get(), fmt::format("{} '{}'", doing, path_)); }

void Statement::Finalizer::operator()(sqlite3_stmt* statement) const {
  (void)sqlite3_finalize(statement);
}  // repeats an error already told

Result<Statement> Statement::prepare(const Database& database, const char* sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v3(database.handle(), sql, -1, SQLITE_PREPARE_PERSISTENT, &raw, nullptr) != SQLITE_OK)
    return std::unexpected(database.error("prepare a statement on"));
  return Statement(raw);
}

void Statement::bind(int index, std::string_view text) {
  (void)sqlite3_bind_text64(statement_.get(), index, text.data(), text.size(), SQLITE_STATIC, SQLITE_UTF8);  // step() reports what is wrong
}
void Statement::bind(int index, int64_t value) { (void)sqlite3_bind_int64(statement_.get(), index, value); }

Result<bool> Statement::step() {
  const int code = sqlite3_step(statement_.get());
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  auto error = to_error(sqlite3_db_handle(statement_.get()), "query the store");
  reset();
  return std::unexpected(std::move(error));
}

Status Statement::run() {
  while (true) {
    PINTLE_ASSIGN_OR_RETURN(const bool row, step());
    if (!row) break;
  }
  reset();
  return {};
}

void Statement::reset() {
  (void)sqlite3_reset(statement_.get());  // repeats an error already told
  (void)sqlite3_clear_bindings(statement_.get());
}

std::string Statement::text(int column) const {
  const auto* data = reinterpret_cast<const char*>(sqlite3_column_text(statement_.get(), column));
  return data == nullptr ? std::string() : std::string(data, static_cast<size_t>(sqlite3_column_bytes(statement_.get(), column)));
}
int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

int64_t checksum(std::initializer_list<std::string_view> parts) {
  uint64_t hash = 14695981039346656037ull;
  const auto mix = [&hash](unsigned char byte) { hash = (hash ^ byte) * 1099511628211ull; };
  for (const auto part : parts) {
    for (const char c : part) mix(static_cast<unsigned char>(c));
    for (size_t rest = part.size(), i = 0; i < sizeof rest; ++i, rest >>= 8) mix(static_cast<unsigned char>(rest & 0xff));
  }
  return static_cast<int64_t>(hash);
}

}  // namespace pintle::store
