// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <cerrno>

#include <sqlite3.h>
#include <sys/stat.h>

#include <catch2/catch_test_macros.hpp>

#include "fakes/store/temp_dir.h"
#include "store/sqlite_store.h"

namespace pintle::store {
namespace {

void run_sql(const std::string& path, const char* sql) {
  sqlite3* handle = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &handle) == SQLITE_OK);
  REQUIRE(sqlite3_exec(handle, sql, nullptr, nullptr, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_close(handle) == SQLITE_OK);
}

}  // namespace

TEST_CASE("a file that is no database is moved aside and a new one begun") {
  const fakes::TempDir dir;
  const std::string path = dir / "state.db";
  const std::string rubbish(8192, 'x');
  fakes::write_text(path, rubbish);
  auto store = SqliteStore::open(path);
  REQUIRE(store);
  CHECK((*store)->recovery_note().find(path + ".damaged.1") != std::string::npos);
  CHECK(fakes::read_text(path + ".damaged.1") == rubbish);
  REQUIRE((*store)->put("k", "a", "b"));
  CHECK((*store)->get("k", "a").value() == "b");
}

TEST_CASE("what can't be moved aside with its database is named, and not left for the new one") {
  const fakes::TempDir dir;
  const std::string path = dir / "state.db";
  fakes::write_text(path, std::string(8192, 'x'));
  REQUIRE(::mkdir((path + "-shm").c_str(), 0700) == 0);
  fakes::write_text(path + ".damaged.1-shm", "of an earlier one");
  const auto store = SqliteStore::open(path);
  REQUIRE_FALSE(store);
  CHECK(store.error().sys_errno == ENOTDIR);
  CHECK(store.error().message().find("move damaged '" + path + "-shm' aside: Not a directory") != std::string::npos);
}

TEST_CASE("a database with a torn page is moved aside, and a second damage beside the first") {
  const fakes::TempDir dir;
  const std::string path = dir / "state.db";
  for (int round = 1; round <= 2; ++round) {
    {
      auto store = SqliteStore::open(path);
      REQUIRE(store);
      for (int i = 0; i < 200; ++i) REQUIRE((*store)->put("k", std::to_string(i), std::string(200, 'v')));
    }
    std::string content = fakes::read_text(path);
    REQUIRE(content.size() > 3 * 4096);
    content.replace(4096, 8192, std::string(8192, '\x5a'));
    fakes::write_text(path, content);
    auto again = SqliteStore::open(path);
    REQUIRE(again);
    CHECK((*again)->recovery_note().find(".damaged." + std::to_string(round)) != std::string::npos);
    CHECK((*again)->list("k").value().empty());
  }
}

TEST_CASE("a record that was changed behind our back is named, and costs only itself") {
  const fakes::TempDir dir;
  const std::string path = dir / "state.db";
  {
    auto store = SqliteStore::open(path);
    REQUIRE(store);
    REQUIRE((*store)->put("k", "bad", "1"));
    REQUIRE((*store)->put("k", "good", "2"));
  }
  run_sql(path, "UPDATE record SET value = '9' WHERE key = 'bad'");
  auto store = SqliteStore::open(path);
  REQUIRE(store);
  CHECK((*store)->recovery_note().empty());
  const auto bad = (*store)->get("k", "bad");
  REQUIRE_FALSE(bad);
  CHECK(bad.error().code == Code::kInvalid);
  CHECK((*store)->list("k").value() == std::vector<std::pair<std::string, std::string>>{{"good", "2"}});
  REQUIRE((*store)->put("k", "bad", "1"));
  CHECK((*store)->get("k", "bad").value() == "1");
}

TEST_CASE("a database of a newer schema is refused and left alone") {
  const fakes::TempDir dir;
  const std::string path = dir / "state.db";
  REQUIRE(SqliteStore::open(path));
  run_sql(path, "PRAGMA user_version = 99");
  const auto store = SqliteStore::open(path);
  REQUIRE_FALSE(store);
  CHECK(store.error().code == Code::kUnsupported);
  CHECK(std::filesystem::exists(path));
}

TEST_CASE("a store in a folder that isn't there is an error and no crash") {
  const auto store = SqliteStore::open("/nonexistent/state.db");
  REQUIRE_FALSE(store);
  CHECK(store.error().code == Code::kUnavailable);
}

TEST_CASE("the file is for its owner only, and an unchanged value is not written") {
  const fakes::TempDir dir;
  const std::string path = dir / "state.db";
  auto store = SqliteStore::open(path);
  REQUIRE(store);
  struct stat info{};
  REQUIRE(::stat(path.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0600);
  REQUIRE((*store)->put("k", "a", "value"));
  const auto size = std::filesystem::file_size(path + "-wal");
  REQUIRE((*store)->put("k", "a", "value"));
  CHECK(std::filesystem::file_size(path + "-wal") == size);
}

TEST_CASE("the checksum tells where one part ends and the next begins") {
  CHECK(checksum({"ab", "c"}) != checksum({"a", "bc"}));
  CHECK(checksum({"ab", "c"}) == checksum({"ab", "c"}));
}

}  // namespace pintle::store
