// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
//
// One SQLite file of ours: opened in WAL mode with a small page cache, checked, its schema made. A file that is damaged is
// moved aside and a fresh one begun; what happened is told by recovery_note(). Statement is one prepared statement.
// Thread rule: not thread-safe; the owner locks. Errors: kUnavailable (disk, busy), kUnsupported (written by a newer
// schema), kInvalid (not a database and not movable), kInternal.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace pintle::store {

struct Schema {
  int version = 1;
  const char* sql = "";  // run on a file that has none yet
};

class Database {
 public:
  [[nodiscard]] static Result<Database> open(const std::string& path, const Schema& schema);

  [[nodiscard]] Status execute(const char* sql);
  // Commits are synced to the disk when true; otherwise a power cut may take the newest ones (never the file's consistency).
  [[nodiscard]] Status set_synced(bool synced);
  [[nodiscard]] sqlite3* handle() const { return handle_.get(); }
  [[nodiscard]] Error error(std::string_view doing) const;
  // Empty, or why and to where a damaged file was moved.
  [[nodiscard]] const std::string& recovery_note() const { return recovery_note_; }

 private:
  struct Closer {
    void operator()(sqlite3* handle) const;
  };
  Database() = default;
  [[nodiscard]] static Result<Database> open_checked(const std::string& path, const Schema& schema, bool& damaged);

  std::unique_ptr<sqlite3, Closer> handle_;
  std::string path_, recovery_note_;
  bool synced_ = false;
};

class Statement {
 public:
  [[nodiscard]] static Result<Statement> prepare(const Database& database, const char* sql);

  // The text must live until the next step() or reset().
  void bind(int index, std::string_view text);
  void bind(int index, int64_t value);
  [[nodiscard]] Result<bool> step();  // true: a row is there
  [[nodiscard]] Status run();         // steps to the end and resets
  void reset();
  [[nodiscard]] std::string text(int column) const;
  [[nodiscard]] int64_t integer(int column) const;

 private:
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
};

// FNV-1a over length-separated parts: finds records that the disk or a hand has changed, nothing more.
[[nodiscard]] int64_t checksum(std::initializer_list<std::string_view> parts);

}  // namespace pintle::store
