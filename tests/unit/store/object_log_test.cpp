// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <sqlite3.h>

#include <catch2/catch_test_macros.hpp>

#include "fakes/store/temp_dir.h"
#include "store/sqlite_object_log.h"

namespace pintle::store {

TEST_CASE("a damaged object is named and the others are kept") {
  const fakes::TempDir dir;
  const std::string path = dir / "objects.db";
  {
    auto log = SqliteObjectLog::open(path);
    REQUIRE(log);
    REQUIRE((*log)->put({{"pods", "default", "a"}, "u", 1, "{}"}, ports::ObjectLog::Durability::kSynced));
    REQUIRE((*log)->put({{"pods", "default", "b"}, "u", 2, "{}"}, ports::ObjectLog::Durability::kSynced));
  }
  sqlite3* handle = nullptr;
  REQUIRE(sqlite3_open(path.c_str(), &handle) == SQLITE_OK);
  REQUIRE(sqlite3_exec(handle, "UPDATE object SET json = '{\"x\":1}' WHERE name = 'a'", nullptr, nullptr, nullptr) == SQLITE_OK);
  REQUIRE(sqlite3_close(handle) == SQLITE_OK);
  auto log = SqliteObjectLog::open(path);
  REQUIRE(log);
  const auto loaded = (*log)->load();
  REQUIRE(loaded);
  REQUIRE(loaded->objects.size() == 1);
  CHECK(loaded->objects[0].key.name == "b");
  CHECK(loaded->damaged == std::vector<std::string>{"pods 'default/a'"});
}

}  // namespace pintle::store
