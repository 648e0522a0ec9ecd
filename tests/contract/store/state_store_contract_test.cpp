// SPDX-License-Identifier: Apache-2.0
// Copyright The Pintle Authors
#include <catch2/catch_template_test_macros.hpp>
#include <catch2/catch_test_macros.hpp>

#include "fakes/store/fake_state_store.h"
#include "fakes/store/temp_dir.h"
#include "store/sqlite_store.h"

namespace pintle {
namespace {

// Opens a store, and opens it again over what the first one left.
struct RealStore {
  fakes::TempDir dir;
  std::unique_ptr<store::SqliteStore> store = *store::SqliteStore::open(dir / "state.db");
  ports::StateStore& get() { return *store; }
  void restart() {
    store.reset();
    store = *store::SqliteStore::open(dir / "state.db");
  }
};
struct FakeStore {
  std::unique_ptr<fakes::FakeStateStore> store = std::make_unique<fakes::FakeStateStore>();
  ports::StateStore& get() { return *store; }
  void restart() { store = std::make_unique<fakes::FakeStateStore>(store->records()); }
};

}  // namespace

TEMPLATE_TEST_CASE("a state store keeps records by kind and key", "", RealStore, FakeStore) {
  TestType harness;
  auto& store = harness.get();
  REQUIRE(store.put("pod", "a", "one"));
  REQUIRE(store.put("pod", "b", "two"));
  REQUIRE(store.put("probe", "a", "three"));
  CHECK(store.get("pod", "a").value() == "one");
  CHECK(store.get("probe", "a").value() == "three");
  CHECK(store.list("pod").value() == std::vector<std::pair<std::string, std::string>>{{"a", "one"}, {"b", "two"}});
  CHECK(store.list("none").value().empty());
}

TEMPLATE_TEST_CASE("a state store replaces, erases and says what is absent", "", RealStore, FakeStore) {
  TestType harness;
  auto& store = harness.get();
  REQUIRE(store.put("pod", "a", "one"));
  REQUIRE(store.put("pod", "a", "two"));
  CHECK(store.get("pod", "a").value() == "two");
  REQUIRE(store.erase("pod", "a"));
  REQUIRE(store.erase("pod", "a"));
  const auto gone = store.get("pod", "a");
  REQUIRE_FALSE(gone);
  CHECK(gone.error().code == Code::kNotFound);
}

TEMPLATE_TEST_CASE("a state store keeps any text over a restart", "", RealStore, FakeStore) {
  TestType harness;
  const std::string odd("nul \0 quote ' line \n \xff", 22);
  REQUIRE(harness.get().put("k'", "", odd));
  REQUIRE(harness.get().put("k'", "empty", ""));
  harness.restart();
  CHECK(harness.get().get("k'", "").value() == odd);
  CHECK(harness.get().get("k'", "empty").value().empty());
}

}  // namespace pintle
