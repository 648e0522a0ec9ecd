// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include "fakes/store/fake_object_log.h"
#include "fakes/store/temp_dir.h"
#include "store/sqlite_object_log.h"

namespace pintle {
namespace {

using Durability = ports::ObjectLog::Durability;

struct RealLog {
  fakes::TempDir dir;
  std::unique_ptr<store::SqliteObjectLog> log = *store::SqliteObjectLog::open(dir / "objects.db");
  ports::ObjectLog& get() { return *log; }
  void restart() {
    log.reset();
    log = *store::SqliteObjectLog::open(dir / "objects.db");
  }
};
struct FakeLog {
  fakes::FakeObjectLog log;
  ports::ObjectLog& get() { return log; }
  void restart() {}
};

}  // namespace

TEMPLATE_TEST_CASE("an object log gives back the newest state of every object", "", RealLog, FakeLog) {
  TestType harness;
  REQUIRE(harness.get().put({{"pods", "default", "web"}, "u1", 7, "{\"a\":1}"}, Durability::kSynced));
  REQUIRE(harness.get().put({{"pods", "default", "web"}, "u1", 9, "{\"a\":2}"}, Durability::kRelaxed));
  REQUIRE(harness.get().put({{"pods", "other", "web"}, "u2", 8, "{}"}, Durability::kRelaxed));
  REQUIRE(harness.get().put({{"secrets", "default", "web"}, "u3", 10, "{}"}, Durability::kRelaxed));
  REQUIRE(harness.get().erase({"secrets", "default", "web"}, Durability::kRelaxed));
  REQUIRE(harness.get().erase({"secrets", "default", "never"}, Durability::kSynced));
  harness.restart();
  const auto loaded = harness.get().load();
  REQUIRE(loaded);
  REQUIRE(loaded->objects.size() == 2);
  CHECK(loaded->damaged.empty());
  for (const auto& object : loaded->objects) {
    if (object.key.namespace_ != "default") continue;
    CHECK(object.key.name == "web");
    CHECK(object.uid == "u1");
    CHECK(object.resource_version == 9);
    CHECK(object.json == "{\"a\":2}");
  }
}

TEMPLATE_TEST_CASE("an object log never forgets a version that may have been handed out", "", RealLog, FakeLog) {
  TestType harness;
  REQUIRE(harness.get().reserve_versions(1000));
  harness.restart();
  CHECK(harness.get().load()->versions_reserved == 1000);
  REQUIRE(harness.get().put({{"pods", "default", "web"}, "u", 1200, "{}"}, Durability::kRelaxed));
  CHECK(harness.get().load()->versions_reserved == 1200);
}

}  // namespace pintle
